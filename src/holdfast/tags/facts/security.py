"""Credentials, sandboxes and security modules."""

from __future__ import annotations

from holdfast.tags.row import INNER, RULE, failed, lost, nothing, option, partly, refused, space, unseen, untested

_NONE = "no mention in criu, compel and soccr of CRIU 4.2.1"

TAGS = (
    space(
        "security",
        "security security/Kconfig.hardening certs",
        "security modules, hardening of the kernel, keys built in",
        "Linux security/Kconfig",
        INNER,
        native=nothing("modules that put state on a task have rows of their own"),
        criu=nothing("modules that put state on a task have rows of their own"),
    ),
    option(
        "landlock",
        "SECURITY_LANDLOCK",
        "a sandbox that a task puts itself into and can never leave; ruleset descriptors",
        "landlock(7); Linux security/landlock",
        "measured: CRIU 4.2.1 on 6.18, getters before and after: a write that the domain denied is allowed after the restore; "
        "read: no interface shows a domain",
        native=refused(
            "a thread that a sandbox keeps from looking at others is refused by that sign; where it cannot be tried the dump says so"
        ),
        criu=lost("a domain is lost: the sandbox is open after a restore", severity="critical"),
        do="give the kernel-state reader its privilege (root, BPF), or do not dump programs that use Landlock",
    ),
    option(
        "apparmor",
        "SECURITY_APPARMOR SECURITY_APPARMOR_INTROSPECT_POLICY SECURITY_APPARMOR_HASH SECURITY_APPARMOR_HASH_DEFAULT "
        "DEFAULT_SECURITY_APPARMOR "
        "SECURITY_APPARMOR_EXPORT_BINARY SECURITY_APPARMOR_PARANOID_LOAD",
        "a profile per task, stacked and namespaced; labels on sockets and files",
        "apparmor(7); /proc/PID/attr/apparmor/current",
        "rule: attr/current other than unconfined is claimed by no native kind; read: CRIU criu/apparmor.c, criu/lsm.c",
        native=partly("an unconfined task is carried; a profile in /proc/PID/attr/current is refused"),
        criu=partly("the profile is set again, also stacked; labels on sockets are not", "lost"),
        do="run the job unconfined, or use an engine that carries the profile",
    ),
    option(
        "selinux",
        "SECURITY_SELINUX SECURITY_SELINUX_BOOTPARAM SECURITY_SELINUX_DEVELOP SECURITY_SELINUX_AVC_STATS SECURITY_SELINUX_SIDTAB_HASH_BITS "
        "SECURITY_SELINUX_SID2STR_CACHE_SIZE SECURITY_SELINUX_CHECKREQPROT_VALUE SECURITY_SELINUX_DISABLE DEFAULT_SECURITY_SELINUX",
        "a context per task, socket, key and file creation",
        "selinux(8); /proc/PID/attr/current, sockcreate, fscreate, exec, keycreate",
        "rule: a context is claimed by no native kind; read: CRIU criu/lsm.c carries current and socket contexts",
        native=partly(
            "a task in the same context as the engine is carried; any other, and fscreate, exec, sockcreate, keycreate are refused"
        ),
        criu=partly("current and sockcreate are carried; exec, fscreate and keycreate are lost", "lost"),
        do="restore from a process in the wanted context",
    ),
    option(
        "smack",
        "SECURITY_SMACK SECURITY_SMACK_BRINGUP SECURITY_SMACK_NETFILTER SECURITY_SMACK_APPEND_SIGNALS",
        "a label per task",
        "Linux Documentation/admin-guide/LSM/Smack.rst",
        "rule: a label is claimed by no native kind; " + _NONE,
        native=partly("a task with the engine's own label is carried; any other is refused"),
        criu=lost("criu/lsm.c knows AppArmor and SELinux only", severity="critical"),
        do="restore from a process with the wanted label",
    ),
    option(
        "tomoyo",
        "SECURITY_TOMOYO SECURITY_TOMOYO_POLICY_LOADER SECURITY_TOMOYO_ACTIVATION_TRIGGER SECURITY_TOMOYO_OMIT_USERSPACE_LOADER",
        "a domain per task that is its history of executed programs",
        "Linux Documentation/admin-guide/LSM/tomoyo.rst",
        "read: the domain follows exec; a restored task has the engine's history; " + _NONE,
        native=unseen("the domain shows only in the module's own file system; only a kernel with TOMOYO in its lsm= list has it"),
        criu=lost("the restored task is in CRIU's domain"),
        do="do not list tomoyo in lsm=",
    ),
    option(
        "yama",
        "SECURITY_YAMA",
        "who may trace whom; a task may name its tracer by prctl",
        "prctl(2) PR_SET_PTRACER; Linux Documentation/admin-guide/LSM/Yama.rst",
        "read: no interface shows an exception made by PR_SET_PTRACER; " + _NONE,
        native=partly(
            "without privilege scope 1 and higher stops dumps (see the sysctl); an exception by PR_SET_PTRACER is not seen", "unseen"
        ),
        criu=partly("an exception by PR_SET_PTRACER is lost", "lost"),
        do="a restored program that lets others trace it must say so again",
    ),
    option(
        "lockdown",
        "SECURITY_LOCKDOWN_LSM SECURITY_LOCKDOWN_LSM_EARLY LOCK_DOWN_KERNEL_FORCE_NONE LOCK_DOWN_KERNEL_FORCE_INTEGRITY "
        "LOCK_DOWN_KERNEL_FORCE_CONFIDENTIALITY LOCK_DOWN_IN_EFI_SECURE_BOOT",
        "forbids even root to read kernel memory",
        "kernel_lockdown(7)",
        "read: LOCKDOWN_BPF_READ_KERNEL and LOCKDOWN_KCORE in security/security.c: refused in confidentiality mode",
        native=partly("in confidentiality mode the kernel-state reader cannot look; the dump says what was not checked", "unseen"),
        criu=nothing("does not read kernel memory"),
        do="use integrity mode at most where hidden state must be refused",
    ),
    option(
        "loadpin_safesetid",
        "SECURITY_LOADPIN SECURITY_LOADPIN_ENFORCE SECURITY_SAFESETID SECURITY_IPE IPE_PROP_DM_VERITY IPE_PROP_FS_VERITY "
        "IPE_PROP_FS_VERITY_BUILTIN_SIG IPE_PROP_DM_VERITY_SIGNATURE IPE_POLICY_SIG_SECONDARY_KEYRING IPE_POLICY_SIG_PLATFORM_KEYRING",
        "policies on what may be executed, loaded, or become whom",
        "Linux Documentation/admin-guide/LSM",
        "read: IPE and LoadPin deny mappings that are executable and not from trusted files; a restore maps and fills such memory",
        native=partly("a policy that denies the restore stub or an executable anonymous mapping fails the restore", "failed"),
        criu=partly("a policy that denies the restorer blob fails the restore", "failed"),
        do="allow memfd and anonymous executable mappings for the engine",
    ),
    option(
        "ima",
        "IMA IMA_APPRAISE IMA_APPRAISE_BOOTPARAM IMA_MEASURE_ASYMMETRIC_KEYS IMA_ARCH_POLICY EVM INTEGRITY_AUDIT",
        "measures and appraises executed files",
        "Linux Documentation/ABI/testing/ima_policy",
        "read: bprm checks see the memfd stub as an executed file without a signature",
        native=partly("a policy that appraises memfd files denies the restore stub", "failed"),
        criu=nothing("restores by fork, without executing a file of its own"),
        do="exempt tmpfs (fsmagic=0x01021994) in the policy",
    ),
    option(
        "lsm_hooks",
        "SECURITY SECURITYFS SECURITY_NETWORK SECURITY_PATH SECURITY_DMESG_RESTRICT PROC_MEM_ALWAYS_FORCE",
        "hooks of security modules; capabilities are always built",
        "capabilities(7)",
        INNER,
        native=nothing("capabilities, securebits and no_new_privs are carried"),
        criu=nothing("capabilities, securebits and no_new_privs are carried"),
    ),
    option(
        "proc_mem",
        "PROC_MEM_FORCE_PTRACE PROC_MEM_NO_FORCE",
        "who may write through /proc/PID/mem against page protection",
        "Linux security/Kconfig PROC_MEM (v6.12)",
        "read: with NO_FORCE a write to a read-only page fails; both engines write such pages from inside the task",
        native=partly("dump and restore do not need it; the fallback by /proc/PID/mem is weaker", "failed"),
        criu=partly("compel writes its parasite through ptrace or a memfd; /proc/PID/mem is used for breakpoints", "failed"),
    ),
    option(
        "seccomp_cache",
        "SECCOMP_CACHE_DEBUG HAVE_ARCH_SECCOMP HAVE_ARCH_SECCOMP_FILTER",
        "helpers of seccomp",
        "Linux arch/Kconfig",
        INNER,
        native=nothing("see SECCOMP"),
        criu=nothing("see SECCOMP"),
    ),
    option(
        "randomize",
        "RANDOMIZE_BASE RANDOMIZE_MEMORY RANDSTRUCT_FULL RANDSTRUCT_PERFORMANCE RANDSTRUCT GCC_PLUGIN_RANDSTRUCT",
        "random places of the kernel and its fields",
        "Linux security/Kconfig.hardening RANDSTRUCT",
        "read: BTF of a randstruct kernel describes the shuffled layout, as pahole saw it",
        native=partly("the kernel-state reader trusts BTF; with RANDSTRUCT it must be of this very build", "unseen"),
        criu=nothing(),
    ),
    option(
        "livepatch",
        "LIVEPATCH KLP_BUILD SAMPLE_LIVEPATCH",
        "replaces functions of the running kernel; a task is patched when it is off them",
        "Linux Documentation/livepatch/livepatch.rst",
        "read: /proc/PID/patch_state is transient and per kernel",
        native=nothing("patch_state belongs to the kernel that runs"),
        criu=nothing("patch_state belongs to the kernel that runs"),
    ),
    option(
        "tee",
        "TEE AMDTEE OPTEE",
        "sessions with a trusted world behind /dev/tee*",
        "Linux Documentation/userspace-api/tee.rst",
        RULE,
        native=refused("a descriptor on /dev/tee* is refused"),
        criu=failed("dump_unsupp_fd chr"),
        do="close sessions before a dump",
    ),
    option(
        "crypto_user",
        "CRYPTO_USER_API CRYPTO_USER_API_HASH CRYPTO_USER_API_SKCIPHER CRYPTO_USER_API_RNG CRYPTO_USER_API_AEAD "
        "CRYPTO_USER_API_ENABLE_OBSOLETE CRYPTO_USER_API_RNG_CAVP",
        "AF_ALG sockets: keys and half-done hashes in the kernel",
        "Linux Documentation/crypto/userspace-if.rst",
        "rule: no native kind claims AF_ALG; read: CRIU collects unix, inet, packet and netlink sockets only (criu/sockets.c)",
        native=refused("an AF_ALG socket is refused: keys cannot be read back"),
        criu=failed("the socket is not found among collected ones"),
        do="use a crypto library in user space",
    ),
    space(
        "crypto",
        "crypto drivers/crypto lib/crypto crypto/asymmetric_keys crypto/krb5",
        "algorithms and accelerators",
        "Linux crypto/Kconfig",
        "rule: they are reached through AF_ALG, dm-crypt, fscrypt, TLS or IPsec, which have rows of their own; "
        "devices (qat, ccp sev) are character devices that no kind claims",
        native=nothing("a process reaches them only through interfaces with rows of their own"),
        criu=nothing("a process reaches them only through interfaces with rows of their own"),
    ),
    option(
        "accelerators",
        "CRYPTO_DEV_SP_PSP CRYPTO_DEV_QAT CRYPTO_DEV_QAT_4XXX CRYPTO_DEV_QAT_420XX CRYPTO_DEV_QAT_6XXX UACCE INTEL_IDXD",
        "queues of an accelerator mapped into a process; SEV firmware commands",
        "Linux Documentation/misc-devices/uacce.rst, drivers/crypto/ccp/sev-dev.c",
        RULE,
        native=refused("a descriptor on such a device is refused"),
        criu=failed("dump_unsupp_fd chr"),
        do="close the device before a dump",
    ),
    option(
        "bpf_lsm",
        "BPF_LSM",
        "security modules written in BPF, with storage per task",
        "Linux Documentation/bpf/prog_lsm.rst",
        "read: storage per task belongs to the loaded program; " + _NONE,
        native=untested("what a loaded program keeps about a task cannot be known in general"),
        criu=untested("what a loaded program keeps about a task cannot be known in general"),
        do="ask the owner of the BPF program",
    ),
)
