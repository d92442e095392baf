"""The structs that the ledger watches: leaves are named by them.

Generated from ledger/structs by holdfast.drift.predicates; tests/repo holds it fresh.
"""

from __future__ import annotations

WATCHED = frozenset(
    """
    aa_task_ctx address_space alarm anon_pipe_prealloc anon_vma anon_vma_name arch_hw_breakpoint bpf_link bpf_map bpf_prog
    bpf_prog_aux bpf_token callback_head cgroup cgroup_freezer_state cgroup_namespace core_state cpu_itimer cpu_timer cred
    cred_security_struct css_set dentry dma_buf dnotify_mark dnotify_struct epitem epoll_event epoll_filefd epoll_key eppoll_entry
    eventfd_ctx eventpoll fanotify_group_private_data fanotify_mark fastopen_queue fasync_struct fdtable file file_lease file_lock
    file_lock_context file_lock_core file_operations file_ra_state file_security_struct files_struct fown_struct fpstate fpu
    fpu_state_config fpu_state_perm fs_context fs_struct fsnotify_group fsnotify_mark fsnotify_mark_connector fuse_conn fuse_dev
    futex_hash_bucket futex_mm_data futex_pi_state futex_private_hash futex_q futex_sched_data group_info hrtimer
    hugetlbfs_inode_info inet_bind_bucket inet_connection_sock inet_cork inet_sock inet_timewait_sock inode inode_security_struct
    inotify_event_info inotify_group_private_data inotify_inode_mark io_bitmap io_buffer_list io_context io_kiocb io_mapped_ubuf
    io_restriction io_ring_ctx io_rings io_rsrc_node io_sq_data io_uring_task io_wq_work ip_mc_socklist ip_options ipc_ids
    ipc_namespace ipv6_ac_socklist ipv6_fl_socklist ipv6_mc_socklist ipv6_pinfo ipv6_txoptions k_itimer k_sigaction kern_ipc_perm
    key key_restriction keyring_index_key kioctx kioctx_table ktermios landlock_cred_security landlock_domain
    landlock_file_security landlock_hierarchy landlock_layer landlock_rule landlock_rules landlock_ruleset lazy_mmu_state
    ldt_struct linger linux_binfmt maple_tree mempolicy mm_mm_cid mm_struct mmu_notifier_subscriptions mnt_namespace mount
    mptcp_sock mq_attr mqueue_inode_info msg_msg msg_msgseg msg_queue n_tty_data net netlink_sock netns_unix new_utsname ns_common
    nsproxy pacct_struct packet_sock page_frag path perf_ctx_data perf_event perf_event_attr perf_event_context
    perf_event_mmap_page pid pid_namespace pidfs_attr pidfs_exit_info pipe_buffer pipe_inode_info posix_cputimer_base
    posix_cputimers posix_cputimers_work prev_cputime psi_group ptrace_relation raw_sock request_sock request_sock_queue
    restart_block rlimit robust_list_head rseq rseq_data rseq_event rseq_ids rseq_slice sched_dl_entity sched_entity
    sched_ext_entity sched_rt_entity sched_statistics scm_cookie scm_fp_list seccomp seccomp_filter sem sem_array sem_undo
    sem_undo_list seq_file shm_file_data shmem_inode_info shmid_kernel sigaction sigevent sighand_struct signal_struct
    signalfd_ctx sigpending sigqueue simple_xattr simple_xattrs sk_buff sk_buff_head sk_filter sk_psock sk_security_struct sock
    sock_common sock_fprog_kern sock_reuseport socket socket_wq super_block sync_file syscall_user_dispatch sysv_sem sysv_shm
    task_cputime_atomic task_delay_info task_exec_state task_group task_security_struct task_struct tcp_ao_info
    tcp_fastopen_context tcp_fastopen_request tcp_md5sig_info tcp_md5sig_key tcp_options_received tcp_sock thread_group_cputimer
    thread_info thread_shstk thread_struct time_namespace timens_offsets timer_list timerfd_ctx tlbflush_unmap_batch tls_context
    tomoyo_task tty_buffer tty_bufhead tty_ldisc tty_port tty_struct tun_file tun_struct ucounts udp_sock uid_gid_extent
    uid_gid_map unix_address unix_edge unix_sock unix_vertex unwind_task_info upid uprobe_task uprobes_state user_namespace
    user_struct userfaultfd_ctx userfaultfd_wait_queue uts_namespace vm_area_struct vm_userfaultfd_ctx vsock_sock vtime winsize
    xdp_sock xol_area
    """.split()
)
