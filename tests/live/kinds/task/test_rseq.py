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
