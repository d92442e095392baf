"""Namespaces and control groups."""

from __future__ import annotations

from holdfast.tags.row import CARRY, RULE, carried, option, partly

TAGS = (
    option(
        "pid_ns",
        "PID_NS",
        "each task has one pid per nested pid namespace; restore must make all of them",
        "pid_namespaces(7); clone3(2) set_tid",
        CARRY,
        native=carried("a tree in its own pid namespace keeps the pids that it sees"),
        criu=partly("a namespace is carried with its init; nested ones below the root task only from 3.x on and not all", "failed"),
        do="start jobs with holdfast run",
    ),
    option(
        "user_ns",
        "USER_NS",
        "credentials are relative to a user namespace with its own uid and gid maps",
        "user_namespaces(7)",
        "measured: uid 65534 in its own user and pid namespace dumped, destroyed and restored with the same pids",
        native=partly("the one that holdfast run makes is made anew; any other user namespace inside the tree is refused"),
        criu=partly("one user namespace at the root of the tree; nested ones fail (criu/namespaces.c 'Can't dump nested')", "failed"),
        do="start jobs with holdfast run",
    ),
    option(
        "uts_ns",
        "UTS_NS",
        "host and domain name of a group of tasks",
        "uts_namespaces(7)",
        RULE,
        native=partly("a tree in the engine's own uts namespace; any other is refused"),
        criu=carried("criu/uts_ns.c"),
    ),
    option(
        "ipc_ns",
        "IPC_NS",
        "which System V objects and POSIX message queues a task sees",
        "ipc_namespaces(7)",
        RULE,
        native=partly("a tree in the engine's own ipc namespace; any other is refused"),
        criu=partly("System V objects and sysctls are carried (criu/ipc_ns.c); the contents of POSIX message queues are not", "lost"),
    ),
    option(
        "net_ns",
        "NET_NS",
        "interfaces, routes, firewall rules and sockets of a group of tasks",
        "network_namespaces(7)",
        RULE,
        native=partly("a tree in the engine's own network namespace; any other is refused"),
        criu=partly("links of known kinds, addresses, routes, iptables and nft by external tools; other links fail (criu/net.c)", "failed"),
    ),
    option(
        "time_ns",
        "TIME_NS TIME_NS_VDSO",
        "offsets of CLOCK_MONOTONIC and CLOCK_BOOTTIME for a group of tasks",
        "time_namespaces(7)",
        RULE,
        native=partly("a tree in the engine's own time namespace; any other is refused"),
        criu=partly("carried (criu/timens.c); nested ones fail", "failed"),
    ),
    option(
        "cgroups",
        "CGROUPS CGROUP_PIDS CGROUP_FREEZER CGROUP_DEVICE CGROUP_CPUACCT CGROUP_SCHED FAIR_GROUP_SCHED RT_GROUP_SCHED "
        "CFS_BANDWIDTH CPUSETS "
        "CPUSETS_V1 PROC_PID_CPUSET MEMCG MEMCG_V1 BLK_CGROUP CGROUP_WRITEBACK CGROUP_HUGETLB CGROUP_PERF CGROUP_BPF CGROUP_RDMA "
        "CGROUP_MISC "
        "CGROUP_DMEM CGROUP_NET_PRIO CGROUP_NET_CLASSID SOCK_CGROUP_DATA GROUP_SCHED_WEIGHT GROUP_SCHED_BANDWIDTH "
        "EXT_GROUP_SCHED "
        "CGROUP_FAVOR_DYNMODS BLK_CGROUP_RWSTAT",
        "a task belongs to one group per hierarchy; groups have limits and counters of their own",
        "cgroups(7)",
        "read: /proc/PID/cgroup shows the path; CRIU criu/cgroup.c and criu/cgroup-props.c",
        native=partly("a restored tree runs in the restorer's groups, which is told as a loss; limits belong to the host", "told"),
        criu=partly("with --manage-cgroups, paths and known properties; a cgroup namespace needs its root", "failed"),
        do="put the restore into the group that the job shall have",
    ),
    option(
        "sched_autogroup",
        "SCHED_AUTOGROUP",
        "each session is one scheduling group with its own nice value",
        "sched(7), The autogroup feature",
        "read: /proc/PID/autogroup shows it; no mention in CRIU 4.2.1",
        native=partly("the nice value is carried for sessions that the tree makes; that of a session outside is the restorer's", "told"),
        criu=partly("a nice value set on the group is lost", "lost"),
        do="set autogroup nice again after a restore",
    ),
)
