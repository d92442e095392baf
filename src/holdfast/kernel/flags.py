"""Flag sets by permanent name: what an image stores instead of the kernel's bits.

A kernel may renumber a flag, and an image outlives it: a dump turns bits into names, and a restore turns names into the bits of the kernel
that it runs on. A flag without a name is never dropped: it is an error that says which one.
"""

from __future__ import annotations

from holdfast.kernel import flagtables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class UnknownFlag(ValueError):
    """A flag that has no permanent name, or a name that is no flag here; `table` and `what` say which."""

    def __init__(self, table: str, what: str, why: str) -> None:
        super().__init__(f"{table}: {what} {why}")
        self.table, self.what = table, what


class Table:
    """The permanent names of one set of flags.

    Shape:   bits: name to value; fields: mask to name to number, for parts of the set that are no bits
    """

    __slots__ = ("_bits", "_fields", "_known", "_order", "name")

    def __init__(self, name: str, bits: Mapping[str, int], fields: Mapping[int, Mapping[str, int]] | None = None) -> None:
        self.name = name
        self._bits = dict(bits)
        self._fields = {mask: {number: word for word, number in words.items()} for mask, words in (fields or {}).items()}
        for words in (fields or {}).values():
            self._bits.update(words)
        inside = [word for words in (fields or {}).values() for word in words]
        # a name for several bits comes before the names of some of them
        self._order = sorted(((v, n) for n, v in bits.items() if n not in inside), key=lambda row: (-row[0].bit_count(), row[0]))
        self._known: dict[int, tuple[str, ...]] = {}

    def names(self, bits: int) -> tuple[str, ...]:
        """The names of a set of bits, sorted.

        Raises:  UnknownFlag: a bit or a number has no name; it says which
        """
        found = self._known.get(bits)
        if found is None:
            found = self._known[bits] = self._find(bits)
        return found

    def bits(self, names: Iterable[str]) -> int:
        """The bits of a set of names, as this kernel numbers them.

        Raises:  UnknownFlag: a name is not in the table, or two names exclude each other
        """
        out = 0
        for name in names:
            value = self._bits.get(name)
            if value is None:
                raise UnknownFlag(self.name, repr(name), "is not a name that this version knows")
            for mask, numbers in self._fields.items():
                if numbers.get(value & mask) == name and out & mask and out & mask != value:
                    raise UnknownFlag(self.name, repr(name), "and another name cannot both hold")
            out |= value
        return out

    def _find(self, bits: int) -> tuple[str, ...]:
        if bits < 0:
            raise UnknownFlag(self.name, f"{bits}", "is no set of bits")
        out, left = [], bits
        for mask, numbers in self._fields.items():
            number = bits & mask
            left &= ~mask
            if number:
                if number not in numbers:
                    raise UnknownFlag(self.name, f"the number {number} in {mask:#x}", "has no permanent name")
                out.append(numbers[number])
        for value, name in self._order:
            if left & value == value:
                out.append(name)
                left &= ~value
        if left:
            missing = [n for n in range(left.bit_length()) if left >> n & 1]
            what = ", ".join(f"bit {n} ({1 << n:#x})" for n in missing)
            raise UnknownFlag(self.name, what, "has no permanent name" if len(missing) == 1 else "have no permanent names")
        return tuple(sorted(out))


class LetterTable:
    """The permanent names of one set of flags that the kernel shows as letters."""

    __slots__ = ("_letters", "_names", "name")

    def __init__(self, name: str, letters: Mapping[str, str]) -> None:
        self.name = name
        self._letters = dict(letters)
        self._names = {shown: word for word, shown in letters.items()}

    def names(self, letters: Iterable[str]) -> tuple[str, ...]:
        """The names of letters, sorted.

        Raises:  UnknownFlag: letters have no name; `??` is how a kernel shows a flag for which it has no letters itself
        """
        try:
            return tuple(sorted([self._names[pair] for pair in letters]))
        except KeyError as error:
            raise UnknownFlag(self.name, f"`{error.args[0]}`", "has no permanent name") from None

    def letters(self, names: Iterable[str]) -> tuple[str, ...]:
        """The letters of names, in the order of the names.

        Raises:  UnknownFlag: a name is not in the table
        """
        try:
            return tuple([self._letters[name] for name in names])
        except KeyError as error:
            raise UnknownFlag(self.name, repr(error.args[0]), "is not a name that this version knows") from None


_tables: dict[str, Table] = {}
_letter_tables: dict[str, LetterTable] = {}


def table(name: str) -> Table:
    """The table of a set of bits, such as `open` or `capability`; made on first use."""
    found = _tables.get(name)
    if found is None:
        found = _tables[name] = Table(name, flagtables.BITS[name], flagtables.FIELDS.get(name))
    return found


def letter_table(name: str) -> LetterTable:
    """The table of a set of letters, such as `vma`; made on first use."""
    found = _letter_tables.get(name)
    if found is None:
        found = _letter_tables[name] = LetterTable(name, flagtables.LETTERS[name])
    return found


def names(name: str | Table, bits: int) -> tuple[str, ...]:
    """The permanent names of a set of bits, sorted.

    Raises:  UnknownFlag: a bit has no name; it says which
    """
    return (table(name) if isinstance(name, str) else name).names(bits)


def bits(name: str | Table, names: Iterable[str]) -> int:
    """The bits of a set of permanent names on this kernel.

    Raises:  UnknownFlag: a name is unknown
    """
    return (table(name) if isinstance(name, str) else name).bits(names)


def from_letters(name: str | LetterTable, letters: str | Iterable[str]) -> tuple[str, ...]:
    """The permanent names of letters, sorted; a text is split at blanks.

    Raises:  UnknownFlag: letters have no name; it says which
    """
    pairs = letters.split() if isinstance(letters, str) else letters
    return (letter_table(name) if isinstance(name, str) else name).names(pairs)


def to_letters(name: str | LetterTable, names: Iterable[str]) -> tuple[str, ...]:
    """The letters of permanent names.

    Raises:  UnknownFlag: a name is unknown
    """
    return (letter_table(name) if isinstance(name, str) else name).letters(names)
