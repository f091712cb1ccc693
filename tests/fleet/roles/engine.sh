# A real Docker Engine inside, with containers that nobody should run. The inner image is BusyBox, imported: no registry is needed.
login root
# Gets the rules that `fleetscan sudoers` prints, and no others.
login auditor

# What an engine needs and a container that isn't privileged hasn't got: settings of its network namespace and control groups that can be written.
mount -o remount,bind,rw /proc/sys
writable_control_groups
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    mkdir -p /sys/fs/cgroup/init
    for process in $(cat /sys/fs/cgroup/cgroup.procs); do echo "$process" > /sys/fs/cgroup/init/cgroup.procs 2>/dev/null || :; done
    sed -e 's/^/+/' -e 's/ / +/g' /sys/fs/cgroup/cgroup.controllers > /sys/fs/cgroup/cgroup.subtree_control || :
fi

rm -f /run/docker.pid /run/docker/containerd/containerd.pid
dockerd --storage-driver=vfs --log-level=error >/var/log/dockerd.log 2>&1 &
for _ in $(seq 60); do docker version >/dev/null 2>&1 && break; sleep 0.5; done
docker version >/dev/null || { cat /var/log/dockerd.log >&2; exit 1; }

docker ps -aq | xargs -r docker rm --force >/dev/null
root=$(mktemp -d)
chmod 755 "$root"
mkdir -p "$root/bin" "$root/tmp" "$root/etc"
cp /bin/busybox "$root/bin/busybox"
ln -s busybox "$root/bin/sh"
ln -s busybox "$root/bin/sleep"
tar -C "$root" -c . | docker import --change 'CMD ["/bin/sleep", "86400000"]' - fleet-inner:1 >/dev/null
rm -rf "$root"
run() { docker run --detach --log-opt max-size=1m "$@" >/dev/null; }
# One that is as it should be, to compare with.
run --name good --user 1000:1000 --read-only --cap-drop ALL --security-opt no-new-privileges --memory 32m --cpus 0.5 --pids-limit 50 \
    --restart on-failure:5 --network none fleet-inner:1
run --name host-network --network host fleet-inner:1
run --name socket --volume /run/docker.sock:/var/run/docker.sock fleet-inner:1
run --name published --publish 0.0.0.0:8080:80 fleet-inner:1
run --name secret --env DATABASE_PASSWORD=correct-horse-battery-staple --env AWS_SECRET_ACCESS_KEY=EXAMPLEKEYEXAMPLEKEYEXAMPLEKEYEXAMPLEKEY fleet-inner:1
run --name host-pid --pid host --ipc host --uts host fleet-inner:1
run --name capable --cap-add NET_ADMIN --cap-add SYS_PTRACE --security-opt seccomp=unconfined --volume /etc:/host/etc fleet-inner:1
docker run --detach --name endless-log fleet-inner:1 >/dev/null
docker create --name privileged --privileged fleet-inner:1 >/dev/null
