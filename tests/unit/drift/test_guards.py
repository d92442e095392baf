"""drift/guards.py: which symbol a field depends on, from C as the kernel writes it."""

from __future__ import annotations

from holdfast.drift import guards

SOURCE = """
#ifndef _X_H
#define _X_H
#ifdef CONFIG_OUTER
struct thing {
	int		plain;	/* no guard; here */
#ifdef CONFIG_ONE
	unsigned long	a, *b;
#else
	int		c;
#endif
#if defined(CONFIG_TWO) && \\
	defined(CONFIG_THREE)
	struct {
		u8	x:1;
#ifndef CONFIG_FOUR
		u8	y[4][2];
#endif
	};
	struct {
		int in;
	} named ____cacheline_aligned;
#endif
	int (*call)(struct thing *t, int n);
	DECLARE_BITMAP(bits, 64);
	struct list_head list __private;
#ifndef CONFIG_FIVE
	int without;
#else
	int with;
#endif
};
#endif
#ifdef CONFIG_AFTER
struct other { int z; };
#endif
#endif
"""


def test_fields_and_their_symbols() -> None:
    clean = guards._COMMENT.sub(" ", SOURCE)
    at = clean.index("struct thing {") + len("struct thing {")
    found = dict(guards.fields(clean, at, guards.enclosing(clean[:at])))
    assert found == {
        "plain": "OUTER",
        "a": "ONE",
        "b": "ONE",
        "c": "!ONE",
        "x": "TWO",
        "y": "!FOUR",
        "named": "TWO",
        "named.in": "TWO",
        "call": "OUTER",
        "bits": "OUTER",
        "list": "OUTER",
        "without": "!FIVE",
        "with": "FIVE",
    }


def test_a_difference_is_of_the_configuration_only_where_both_know_the_symbol() -> None:
    known = guards.Guards({"s.a": "ONE", "s.b": "!TWO", "s.c": "THREE"}, {"ONE": "y", "TWO": "n"}, {"ONE": "n", "TWO": "n", "THREE": "y"})
    assert [(p, known.of("s", p), known.differs(known.of("s", p))) for p in ("a", "b", "c", "a.inner", "d")] == [
        ("a", "ONE", True),
        ("b", "!TWO", False),
        ("c", "THREE", False),
        ("a.inner", "ONE", True),
        ("d", "", False),
    ]
    assert known.family() == ["ONE"]
