"""What task.robust_list promises, kept by a real dump and restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import harness

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.tool("gcc")


def test_a_lock_whose_holder_ends_after_the_restore_is_given_on(tmp_path: Path) -> None:
    trip = harness.roundtrip(
        tmp_path,
        """
        #include <semaphore.h>

        static pthread_mutex_t lock;
        static pthread_barrier_t held;
        static sem_t go;

        static void *holder(void *unused)
        {
            pthread_mutex_lock(&lock);
            pthread_barrier_wait(&held);
            while (sem_wait(&go))
                ;
            return unused;
        }

        static void subject(void)
        {
            pthread_t thread;
            pthread_mutexattr_t kind;
            pthread_mutexattr_init(&kind);
            pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
            pthread_mutex_init(&lock, &kind);
            pthread_barrier_init(&held, NULL, 2);
            sem_init(&go, 0, 0);
            pthread_create(&thread, NULL, holder, NULL);
            pthread_barrier_wait(&held);
            pause_here();
            sem_post(&go);
            pthread_join(thread, NULL);
            say("%d", pthread_mutex_trylock(&lock) == EOWNERDEAD);
        }
        """,
        language="c",
    )
    assert trip.said == trip.control == [1]
