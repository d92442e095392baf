"""What task.rseq promises, kept by a real dump and restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import harness

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.tool("gcc")


def test_the_kernel_goes_on_telling_the_cpu(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        """
        #include <sched.h>
        #include <semaphore.h>
        #include <sys/rseq.h>

        /* on every CPU in turn: is what the kernel wrote into the thread's area the CPU that it runs on? */
        static int agrees(void)
        {
            volatile struct rseq *area = (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
            cpu_set_t all, one;
            int same = 1;
            sched_getaffinity(0, sizeof all, &all);
            for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
                if (!CPU_ISSET(cpu, &all))
                    continue;
                CPU_ZERO(&one);
                CPU_SET(cpu, &one);
                sched_setaffinity(0, sizeof one, &one);
                same &= (int)area->cpu_id == cpu;
            }
            sched_setaffinity(0, sizeof all, &all);
            return same;
        }

        static sem_t started, go;
        static int of_thread;

        static void *run(void *unused)
        {
            sem_post(&started);
            while (sem_wait(&go))
                ;
            of_thread = agrees();
            return unused;
        }

        static void subject(void)
        {
            pthread_t thread;
            sem_init(&started, 0, 0);
            sem_init(&go, 0, 0);
            pthread_create(&thread, NULL, run, NULL);
            while (sem_wait(&started))
                ;
            pause_here();
            sem_post(&go);
            pthread_join(thread, NULL);
            say("[%d, %d, %d]", __rseq_size != 0, agrees(), of_thread);
        }
        """,
        language="c",
    )
    assert trip.said == trip.control == [[1, 1, 1]]


# A thread that is in a restartable sequence nearly always, and leaves it only where the kernel aborts it.
SEQUENCE = """
        #include <linux/rseq.h>
        #include <sys/rseq.h>

        static volatile int aborts, leave, inside;

        static __attribute__((noinline)) void sequence(volatile void *area)
        {
            __asm__ volatile goto(
                ".pushsection hf_rseq, \\"aw\\"\\n\\t.balign 32\\n"
                "3:\\t.long 0, 0\\n\\t.quad 1f, 2f - 1f, 4f\\n\\t.popsection\\n\\t"
                "leaq 3b(%%rip), %%rax\\n\\tmovq %%rax, 8(%0)\\n"
                "1:\\tmovl $1, (%1)\\n\\tpause\\n\\tjmp 1b\\n"
                "2:\\n\\t"
                ".pushsection hf_abort, \\"ax\\"\\n\\t.byte 0x0f, 0xb9, 0x3d\\n\\t.long 0x53053053\\n"
                "4:\\tjmp %l[aborted]\\n\\t.popsection"
                : : "r"(area), "r"(&inside) : "memory", "rax", "cc" : aborted);
        aborted:
            return;
        }

        static void *run(void *unused)
        {
            while (!leave) {
                sequence((char *)__builtin_thread_pointer() + __rseq_offset);
                aborts++;
            }
            return unused;
        }

        static void nothing(int signal)
        {
            (void)signal;
        }

        static void subject(void)
        {
            pthread_t thread;
            signal(SIGUSR2, nothing);
            pthread_create(&thread, NULL, run, NULL);
            while (!inside)
                ;
            pause_here();
            leave = 1;
            pthread_kill(thread, SIGUSR2); /* a signal aborts the sequence, where the kernel still knows of it */
            pthread_join(thread, NULL);
            say("%d", aborts > 0);
        }
        """


@pytest.mark.parametrize("leave_running", [False, True])
def test_a_sequence_that_was_under_way_is_aborted(tmp_path: Path, leave_running: bool) -> None:
    trip = harness.roundtrip(tmp_path, SEQUENCE, language="c", leave_running=leave_running)
    assert trip.said == trip.control == [1]
