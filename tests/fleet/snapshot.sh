# Lists what could be changed on a host: kind and mode, owner, size, times and name of every path, and the hash of every file's content. Writes nothing.
#   layer DIRECTORY  the writable layer of a container, from outside: every path that isn't as in the image
#   mounts           inside a container: every file system but the root; asked before the layer
#   all              inside a container: every file system, where the layer cannot be read from outside; of the root, hashes of settings, homes, logs, state
export LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin

paths() {
    find "$@" -xdev -exec stat -c '%A|%u|%g|%s|%Y|%Z|%n' {} +
}

hashes() {
    find "$@" -xdev -type f -size -8000k -exec sha256sum {} + 2>/dev/null
}

if [ "$1" = layer ]; then
    cd "$2" || exit 1
    paths .
    hashes .
    exit 0
fi
# What was written before now must not come to the layer later: some storage keeps it in memory for a while.
sync -f / 2>/dev/null || sync
while read -r _ point kind _; do
    # What the kernel makes up.
    case $kind in proc | sysfs | cgroup* | devpts | mqueue | nsfs | securityfs | bpf) continue ;; esac
    case $1$point in
        */dev | */proc/* | */sys/* | mounts/) ;;
        all/)
            paths /
            hashes /etc /home /root /run /tmp /var/log /var/spool
            ;;
        *)
            paths "$point"
            hashes "$point"
            ;;
    esac
done < /proc/self/mounts
exit 0
