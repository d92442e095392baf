"""Fields that the walk itself needs, where a field of an object's plan is not enough: newest spelling first."""

from __future__ import annotations

PLACES: dict[str, str] = {
    name: spelled or name
    for name, _, spelled in (
        line.partition(" = ")
        for line in map(
            str.strip,
            """
        pid.numbers
        pid.level
        pid.tasks
        upid.nr
        upid.ns
        upid
        pid_namespace.idr = pid_namespace.idr.idr_rt.xa_head
        pid_namespace.ns.inum
        xa_node.shift
        xa_node.slots
        task_struct.thread_pid
        task_struct.pid_links
        task_struct.signal
        task_struct.group_leader
        task_struct.exit_state
        task_struct.tasks
        task_struct.thread_node
        task_struct.pid
        task_struct.tgid
        task_struct.restart_block
        restart_block.fn
        restart_block.nanosleep.clockid
        restart_block.nanosleep.type
        restart_block.nanosleep.rmtp
        restart_block.nanosleep.expires
        restart_block.futex.time
        restart_block.poll.has_timeout
        restart_block.poll.end_time
        restart_block.poll.tv_sec
        restart_block.poll.tv_nsec
        task_struct
        signal_struct.thread_head
        mm_struct.mm_mt
        maple_tree.ma_root
        maple_range_64.pivot
        maple_range_64.slot
        maple_arange_64.pivot
        maple_arange_64.slot
        fdtable.max_fds
        fdtable.fd
        fdtable.close_on_exec
        fdtable.open_fds
        file_operations
        file.f_op
        file.private_data
        file.f_inode
        file.f_security
        file.f_path.dentry = file.__f_path.dentry|file.f_path.dentry
        inode.i_pipe
        inode.i_fsnotify_marks
        inode.i_rdev
        inode.i_mode
        fsnotify_mark_connector.list
        fsnotify_mark.obj_list
        fsnotify_mark.group
        fsnotify_mark.connector
        fsnotify_mark.g_list
        fsnotify_group.ops
        fsnotify_group.overflow_event
        dnotify_mark.dn
        dnotify_struct.dn_filp
        dnotify_struct.dn_next
        fsnotify_ops
        inotify_inode_mark.fsn_mark
        inotify_inode_mark.wd
        fanotify_mark.fsn_mark
        dnotify_mark.fsn_mark
        dentry.d_parent
        dentry.d_name = dentry.__d_name.name|dentry.d_name.name
        dentry.d_inode
        ns_common.inum
        net.inum = net.ns.inum
        mnt_namespace.inum = mnt_namespace.ns.inum
        cgroup_namespace.inum = cgroup_namespace.ns.inum
        user_namespace.inum = user_namespace.ns.inum
        uts_namespace.inum = uts_namespace.ns.inum
        ipc_namespace.inum = ipc_namespace.ns.inum
        time_namespace.inum = time_namespace.ns.inum
        pid_namespace.inum = pid_namespace.ns.inum
        user_struct.uid
        pipe_buffer
        pipe_buffer.ops
        pipe_buffer.flags
        pipe_buffer.len
        pipe_inode_info.bufs
        pipe_inode_info.head
        pipe_inode_info.tail
        pipe_inode_info.ring_size
        sock_common.skc_family
        sock_common.skc_prot
        sock_common.skc_state
        sock.sk_receive_queue
        sock.sk_protocol
        sock.sk_type
        sock.sk_security
        proto.name
        socket.sk
        udp_sock.reader_queue
        ip_mc_socklist.sflist
        ip_sf_socklist.sl_count
        ip_sf_socklist.sl_addr
        ipv6_mc_socklist.sflist
        ip6_sf_socklist.sl_count
        ip6_sf_socklist.sl_addr
        socket.ops
        sk_buff.next
        sk_buff.prev
        sk_buff.head
        sk_buff.data
        sk_buff.len
        sk_buff.data_len
        sk_buff.cb
        unix_skb_parms.fp
        unix_skb_parms.consumed
        unix_address.len
        unix_address.name
        unix_sock.peer
        scm_fp_list.count
        scm_fp_list.fp
        bpf_prog.orig_prog
        sock_fprog_kern.len
        sock_fprog_kern.filter
        anon_vma_name.name
        group_info.ngroups
        group_info.gid
        key.type
        key.description
        key.keys = key.keys.root
        key_type.name
        assoc_array_node.slots
        assoc_array_shortcut.next_node
        cred.security
        cred.session_keyring
        task_struct.security
        landlock_cred_security
        landlock_cred_security.domain
        task_security_struct
        cred_security_struct
        lsm_blob_sizes.lbs_cred
        lsm_blob_sizes.lbs_file
        tty_struct.ops
        tty_struct.disc_data
        tty_struct.ldisc
        tty_ldisc.ops
        tty_ldisc_ops.num
        tty_file_private.tty
        n_tty_data.read_head
        n_tty_data.read_tail
        n_tty_data.canon_head
        n_tty_data.commit_head
        n_tty_data.read_buf
        inotify_event_info.fse
        inotify_event_info.mask
        inotify_event_info.name
        inotify_event_info.name_len
        shmem_inode_info.vfs_inode
        hugetlbfs_inode_info.vfs_inode
        mqueue_inode_info.vfs_inode
        socket_alloc.vfs_inode
        rb_node.rb_left
        sigqueue.list
        k_itimer.list
        k_itimer.ignored_list
        file_lock.link = file_lock.c.flc_list|file_lock.fl_list
        file_lease.link = file_lease.c.flc_list|file_lease.fl_list
        epitem.rbn
        sem_undo.list_proc
        shmid_kernel.shm_clist
        fsnotify_event.list
        landlock_ruleset.access_masks
        netlink_sock.groups
        netlink_sock.ngroups
        rb_node.rb_right
        thread_struct.fpu
        task_struct.thread
        kioctx_table.nr
        ldt_struct.entries
        ldt_struct.nr_entries
        fpu
        sigqueue.info
        mount.mnt
        mount.mnt_id
        vfsmount
        css_set.dfl_cgrp
        cgroup.kn
        task_struct.mm
        task_struct.cred
        task_struct.files
        files_struct.fdt
        vm_area_struct.vm_start
        mm_struct.flags.__mm_flags = mm_struct.flags.__mm_flags|mm_struct.flags
        landlock_file_security
        cred.user_ns
        file_security_struct
        aa_file_ctx
        kernfs_node.id
        """.split("\n"),
        )
        if line
    )
}
