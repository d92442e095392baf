"""What may be followed, field by field; everything else that is a pointer is only `set`, `null` or the name of an object already known.

Names are `struct.field`, the field as BTF has it, in the innermost named struct. A name that this kernel has not is no error: the
table holds older and newer kernels at once. Never here: an array whose live length another field holds (handlers know those), an
object that other processes share without the task having asked for it (the parent, the user, the mount, the super block).

Source:  the named kernel files; the walk in holdfast.kernel.state.walk
"""

from __future__ import annotations

# struct.field -> the struct that it leads to; "" is what BTF says
EDGES: dict[str, str] = {
    # include/linux/sched.h, include/linux/cred.h
    "task_struct.mm": "",
    "task_struct.signal": "",
    "task_struct.sighand": "",
    "task_struct.files": "",
    "task_struct.fs": "",
    "task_struct.real_fs": "",
    "task_struct.exec_state": "",
    "task_exec_state.user_ns": "",
    "task_struct.cred": "",
    "task_struct.real_cred": "",
    "task_struct.nsproxy": "",
    "task_struct.io_context": "",
    "task_struct.mempolicy": "",
    "seccomp.filter": "",
    "seccomp_filter.prev": "",
    "sysv_sem.undo_list": "",
    "cred.user_ns": "",
    "cred.group_info": "",
    "landlock_cred_security.domain": "",
    "landlock_ruleset.hierarchy": "",
    "landlock_domain.hierarchy": "",
    "landlock_hierarchy.parent": "",
    "cred.session_keyring": "",
    "cred.process_keyring": "",
    "cred.thread_keyring": "",
    "signal_struct.tty": "",
    "thread_struct.io_bitmap": "",
    "nsproxy.uts_ns": "",
    "nsproxy.ipc_ns": "",
    "nsproxy.time_ns": "",
    "nsproxy.time_ns_for_children": "",
    # include/linux/mm_types.h, arch/x86/include/asm/mmu.h
    "mm_struct.exe_file": "",
    "mm_struct.user_ns": "",
    "mm_struct.context.ldt": "",
    "vm_area_struct.vm_file": "",
    "vm_area_struct.vm_policy": "",
    "vm_area_struct.anon_name": "",
    "vm_userfaultfd_ctx.ctx": "",
    # include/linux/fs.h, fs/fcntl.c
    "files_struct.fdt": "",
    "file.f_cred": "",
    "file.f_owner": "",  # since 1934b212615d ("file: reclaim 24 bytes from f_owner") (v6.12)
    "file.f_inode": "",
    "inode.i_flctx": "",
    "epoll_key.file": "",
    "epoll_filefd.file": "",
    "dnotify_mark.dn": "",
    "dnotify_struct.dn_next": "",
    # net/
    "socket.sk": "",
    "unix_sock.addr": "",
    "inet_sock.pinet6": "",
    "inet_sock.inet_opt": "",
    "inet_sock.mc_list": "",
    "ip_mc_socklist.next_rcu": "",
    "ipv6_pinfo.ipv6_mc_list": "",
    "ipv6_mc_socklist.next": "",
    "ipv6_pinfo.opt": "",
    "sock.sk_filter": "",
    "sk_filter.prog": "",
    "bpf_prog.orig_prog": "",
    "seccomp_filter.prog": "",
    # drivers/tty
    "tty_struct.link": "",
    "tty_struct.ldisc": "",
}

# struct.field of a list, hash list or tree -> the element, the link in it, and the element's field that names it (none: its position)
LISTS: dict[str, tuple[str, str, str]] = {
    "sigpending.list": ("sigqueue", "list", ""),
    "signal_struct.posix_timers": ("k_itimer", "list", "it_id"),
    "signal_struct.ignored_posix_timers": ("k_itimer", "ignored_list", "it_id"),
    "file_lock_context.flc_flock": ("file_lock", "link", ""),
    "file_lock_context.flc_posix": ("file_lock", "link", ""),
    "file_lock_context.flc_lease": ("file_lease|file_lock", "link", ""),
    "eventpoll.rbr": ("epitem", "rbn", "ffd.fd"),
    "sem_undo_list.list_proc": ("sem_undo", "list_proc", ""),
    "sysv_shm.shm_clist": ("shmid_kernel", "shm_clist", ""),
    "sock.sk_receive_queue": ("sk_buff", "next", ""),
    "sock.sk_error_queue": ("sk_buff", "next", ""),
    "sock.sk_write_queue": ("sk_buff", "next", ""),
}

# struct of the object, a list in it -> the list that is read before it: one queue in two parts
FIRST: dict[tuple[str, str], str] = {
    # net/ipv4/udp.c __skb_recv_udp: whoever looks, with MSG_PEEK too, moves what came in to the readers' part
    ("udp_sock", "sock.sk_receive_queue"): "udp_sock.reader_queue",
}

# what a predicate of the ledger may follow beside these, to ask one question: the objects behind are not decoded
WAYS: dict[str, str] = {
    "task_struct.io_uring": "io_uring_task",
    "task_struct.perf_event_ctxp": "perf_event_context",
    "task_struct.utask": "uprobe_task",
    "task_struct.sysvsem.undo_list": "sem_undo_list",
    "cred.session_keyring": "key",
    "cred.process_keyring": "key",
    "cred.thread_keyring": "key",
    "mm_struct.notifier_subscriptions": "mmu_notifier_subscriptions",
    "sock.sk_reuseport_cb": "sock_reuseport",
    "inet_sock.pinet6": "ipv6_pinfo",
    "tty_struct.ldisc": "tty_ldisc",
    "tty_ldisc.ops": "tty_ldisc_ops",
    "task_struct.thread_pid": "pid",
    "pid.attr": "pidfs_attr",
}

# objects that the walk meets: their layouts are worked out once for a kernel
STRUCTS = tuple(
    """
    task_struct task_exec_state signal_struct sighand_struct mm_struct vm_area_struct files_struct fdtable file fown_struct inode
    fs_struct cred group_info nsproxy uts_namespace ipc_namespace time_namespace user_namespace io_context mempolicy seccomp_filter
    sem_undo_list sem_undo shmid_kernel sigqueue k_itimer file_lock file_lease file_lock_context eventfd_ctx timerfd_ctx signalfd_ctx
    eventpoll epitem pipe_inode_info pipe_buffer fsnotify_group fsnotify_mark fsnotify_event inotify_inode_mark inotify_event_info
    fanotify_mark dnotify_mark dnotify_struct fsnotify_mark_connector userfaultfd_ctx tty_struct tty_ldisc n_tty_data key socket
    socket_alloc sock inet_sock tcp_sock udp_sock raw_sock unix_sock netlink_sock packet_sock ipv6_pinfo unix_address ip_options_rcu
    ip_mc_socklist ipv6_mc_socklist ipv6_txoptions sk_filter sk_buff scm_fp_list bpf_prog sock_fprog_kern mqueue_inode_info
    shmem_inode_info hugetlbfs_inode_info ldt_struct io_bitmap anon_vma_name fpu landlock_cred_security landlock_ruleset landlock_domain
    landlock_hierarchy landlock_file_security landlock_rule inet_connection_sock
    """.split()
)

# of these structs only these fields are read: the rest is the kernel's own, shared by all, or registers that ptrace shows
ONLY: dict[str, frozenset[str]] = {
    name: frozenset(fields.split())
    for name, fields in {
        "fpu": "perm guest_perm",
        "inode": "i_mode i_uid i_gid i_flags i_ino i_size i_rdev i_nlink i_generation i_flctx i_fsnotify_mask",
        "fsnotify_group": "q_len max_events user_waits shutdown flags marks_list notification_list inotify_data fanotify_data",
        "fsnotify_mark": "mask ignore_mask ignored_mask flags",
        "bpf_prog": "len type jited gpl_compatible seccomp_filter orig_prog",
        "sk_buff": "len data_len protocol priority mark pkt_type tstamp",
        "key": "serial perm uid gid state flags expiry quotalen datalen type",
        "tty_struct": "index name termios termios_locked flags count winsize flow ctrl closing hw_stopped packet ldisc disc_data "
        "receive_room write_cnt column canon_column link",
        "n_tty_data": "column canon_column erasing lnext echo icanon raw real_raw no_room push overrun_time num_overrun",
        "user_namespace": "uid_map gid_map projid_map level owner group flags ns.inum user_keyring_register keyring_name_list",
        "uts_namespace": "name ns.inum user_ns",
        "time_namespace": "offsets frozen_offsets ns.inum user_ns",
        "ipc_namespace": "used_sems sem_ctls msg_ctlmax msg_ctlmnb msg_ctlmni shm_ctlmax shm_ctlall shm_ctlmni shm_rmid_forced "
        "shm_tot mq_queues_count mq_queues_max mq_msg_max mq_msgsize_max mq_msg_default mq_msgsize_default ns.inum user_ns",
        "shmem_inode_info": "seals flags alloced swapped fsflags policy",
        "hugetlbfs_inode_info": "seals",
        "mqueue_inode_info": "attr notify notify_owner notify_user_ns notify_self_exec_id qsize",
        "io_bitmap": "max sequence",
        "socket_alloc": "socket",
        "shmid_kernel": "shm_perm shm_nattch shm_segsz shm_cprid shm_lprid",
        "landlock_ruleset": "hierarchy num_rules num_layers access_masks",
        "landlock_hierarchy": "parent id log_status quiet_masks",
        "sched_entity": "custom_slice slice",
        "sched_rt_entity": "timeout time_slice",
        "mount": "mnt_id",
    }.items()
}

# never read: slots beyond the live length, the scheduler's and the tracer's memory of the moment, caches
DEAD = frozenset(
    """
    files_struct.fd_array files_struct.fdtab files_struct.close_on_exec_init files_struct.open_fds_init files_struct.full_fds_bits_init
    fdtable.fd fdtable.rcu fpu.__fpstate fpu.fpstate fpu.__task_fpstate fpstate.regs signal_struct.stats signal_struct.taskstats
    task_struct.thread_info.status task_struct.scx task_struct.tlb_ubc task_struct.stats task_struct.wake_q task_struct.rseq_fields
    mm_struct.mm_count vm_area_struct.shared mm_struct.cpu_bitmap mm_struct.flexible_array mm_struct.mm_cid packet_sock.rx_ring
    packet_sock.tx_ring packet_sock.prot_hook raw_sock.ipmr_table sk_buff.headers inet_sock.cork.fl sock.sk_dst_cache inet_cork_full.fl
    netlink_sock.cb nsproxy.count user_namespace.ns.ops pipe_inode_info.bufs pipe_inode_info.tmp_page io_context.icq_list scm_fp_list.fp
    scm_fp_list.vertices kernel_siginfo._sifields sock_common.skc_rxhash sock.sk_lock task_struct.ipi_mask task_struct.unwind_info
    shmem_inode_info.dir_offsets sock_common.skc_node file_lock.fl_u udp_sock.reader_queue
    """.split()
)  # fmt: skip

# embedded structs that hold nothing of a task's: locks, links, deferred work, statistics
OPAQUE = frozenset(
    """
    spinlock raw_spinlock qspinlock qrwlock rwlock_t mutex rw_semaphore percpu_rw_semaphore seqcount seqcount_spinlock
    seqcount_raw_spinlock seqcount_mutex seqcount_rwlock wait_queue_head wait_queue_entry swait_queue_head callback_head rcu_work
    work_struct delayed_work hlist_node hlist_nulls_node hlist_bl_node rb_node llist_head llist_node percpu_counter lockdep_map
    lock_class_key completion irq_work plist_node plist_head __call_single_node __call_single_data kref refcount_struct percpu_ref
    rcuwait timerqueue_head optimistic_spin_queue semaphore xarray idr ida radix_tree_root rhashtable rhash_head rhlist_head maple_tree
    assoc_array lockref ctl_table_set ctl_table_header notifier_block raw_notifier_head atomic_notifier_head blocking_notifier_head
    ratelimit_state u64_stats_sync proc_ns_operations tracepoint kobject device module mmu_notifier kthread_work task_cputime_atomic
    prev_cputime vtime sched_statistics sched_info load_weight sched_avg util_est rt_mutex rt_mutex_base tlbflush_unmap_batch
    arch_tlbflush_unmap_batch held_lock posix_cputimers_work psi_group task_io_accounting taskstats lru_gen_mm_list netns_tracker
    ref_tracker socket_wq dst_entry page_counter rcu_special unwind_task_info
    """.split()
)

# flag words that are leaves bit by bit, because each bit has a decision of its own
BITWISE = frozenset(
    """
    vm_area_struct.vm_flags task_struct.flags thread_info.flags mm_struct.flags mm_struct.flags.__mm_flags signal_struct.flags
    task_struct.atomic_flags
    """.split()
)

# numbers that are process ids of the initial namespace: a known task is its label
PID_NUMBERS = frozenset("task_struct.pid task_struct.tgid file_lock.fl_pid file_lock_core.flc_pid shmid_kernel.shm_cprid".split())

# pointers that say which namespace, by its number
NAMESPACES = frozenset("mnt_namespace pid_namespace net cgroup_namespace user_namespace uts_namespace ipc_namespace time_namespace".split())

# fields whose number is a kernel address or drawn at random: set or null is all that a second run may say
ADDRESSES = frozenset(
    """
    task_struct.stack task_struct.stack_canary thread_struct.sp inode.i_generation file.private_data page_frag.page sock_common.skc_hash
    sock_common.skc_cookie.counter mm_struct.pcpu_cid mm_struct.futex_ref mm_struct.context.ctx_id
    vm_area_struct.vm_private_data
    """.split()
)

# structs that are never changed in place, only replaced (kernel/cred.c: commit_creds): who shares one is not to be told, so each place
# that points at one is followed by itself, and its path does not depend on who else does
VALUES = frozenset(("cred", "group_info", "landlock_cred_security"))
