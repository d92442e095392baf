"""Which member of a union is live, by `struct.member`; a union of several states without a rule is a gap.

Where all members but one are links for freeing the object, the one is live while the object lives, and no rule is needed.

Source:  the code that fills each, named beside it
"""

from __future__ import annotations

# named structs that are in use only once the object is dead, or on its way into a list of the dead
FREEING = frozenset("callback_head rcu_head llist_node work_struct rcu_work freeptr_t".split())

# members that are read always
LIVE = frozenset(
    """
    vm_area_struct.vm_start vm_area_struct.vm_flags
    file.f_path file.f_pipe file.f_ra file.f_pos_lock
    cred.non_rcu
    sched_entity.vprot
    pipe_inode_info.head
    inode.i_nlink inode.i_dentry
    fsnotify_group.inotify_data
    key.expiry
    sock_common.skc_daddr sock_common.skc_dport sock_common.skc_num sock_common.skc_flags sock_common.skc_incoming_cpu sock_common.skc_hash
    sock_common.skc_addrpair sock_common.skc_portpair
    in6_addr.in6_u.u6_addr8
    sock.sk_wq sock.sk_send_head sock.sk_txrehash sock.sk_scm_credentials sock.sk_scm_recv_flags
    ipv6_pinfo.rxopt.bits ipv6_pinfo.daddr
    mm_struct.def_flags rseq_event.all rseq_ids.cpu_cid sock.sk_timer inet_connection_sock.icsk_keepalive_timer
    landlock_ruleset.num_rules landlock_key.data
    uid_gid_map.nr_extents uid_gid_map.extent
    sigevent.sigev_value sigval.sival_ptr sigevent._sigev_un._tid
    sk_buff.pkt_type sk_buff.mark sk_buff.tstamp
    posix_acl.a_refcount
    packet_sock.stats.stats1 tpacket_stats_u.stats1
    restart_block.fn
    """.split()
)

# members that are read where another field of the same struct says so: alternatives between `|`
WHEN: dict[str, str] = {
    # include/linux/mm_types.h: in 6.1 the name shares its place with the link in the tree of a file's areas
    "vm_area_struct.anon_name": "vm_file = 0",
    # kernel/time/posix-timers.c: clocks of CPU time are negative numbers, or CLOCK_PROCESS_CPUTIME_ID and CLOCK_THREAD_CPUTIME_ID
    "k_itimer.it.cpu": "it_clock < 0 | it_clock = 2 | it_clock = 3",
    "k_itimer.it.real": "it_clock = 0 | it_clock = 1 | it_clock = 7 | it_clock = 11",
    "k_itimer.it.alarm": "it_clock = 8 | it_clock = 9",
    # kernel/time/posix-timers.c: do_timer_create: a task for SIGEV_THREAD_ID, a process without it; a struct pid either way
    "k_itimer.it_pid": "it_sigev_notify >= 0",
    # mm/mempolicy.c: mpol_set_nodemask fills it, but for MPOL_LOCAL (4), and mpol_new does not clear it
    "mempolicy.w.user_nodemask": "mode < 4 | mode = 5 | mode = 6",
    # fs/timerfd.c: isalarm
    "timerfd_ctx.t.tmr": "clockid = 0 | clockid = 1 | clockid = 7",
    "timerfd_ctx.t.alarm": "clockid = 8 | clockid = 9",
}
