# Mount and network namespaces in which container runtimes run beside those of the host, and their
# control groups. Ends, with all that runs in it, when standard input does: also if its owner was
# killed.
#
# $1 is a directory for everything; $2 the name of the groups of containers, $3 of daemons; $4 a
# user with containers of their own.
set -eu
directory=$1 containers=$2 daemons=$3 user=$4

# The groups of all hierarchies. The first is of cgroup v2.
groups() {
    for root in /sys/fs/cgroup/unified /sys/fs/cgroup /sys/fs/cgroup/*; do
        [ -e "$root/cgroup.procs" ] || continue
        for name in "$containers" "$daemons"; do
            [ ! -d "$root/$name" ] || echo "$root/$name"
        done
    done
}

clear() {
    # Groups are busy for a moment after their last process.
    set +e
    for _ in $(seq 100); do
        left=$(groups)
        [ -n "$left" ] || return 0
        for group in $left; do
            # A group that is killed as a whole can't fork meanwhile.
            echo 1 >"$group/cgroup.kill" || find "$group" -name cgroup.procs -exec cat {} + | xargs -r kill -9
            find "$group" -depth -type d -exec rmdir {} +
        done 2>/dev/null
        sleep 0.1
    done
    echo "these control groups remain: $left" >&2
    return 1
}
trap 'clear' EXIT

mount --make-rprivate /
ip link set lo up
mkdir "$directory/data"
mount -t tmpfs -o mode=755 tmpfs "$directory/data"
mount -t tmpfs -o mode=755 tmpfs /run
for upper in etc var; do
    mkdir -p "$directory/data/upper/$upper" "$directory/data/work/$upper"
    mount -t overlay -o "lowerdir=/$upper,upperdir=$directory/data/upper/$upper,workdir=$directory/data/work/$upper" overlay "/$upper"
done
mkdir -p /run/lock /run/podman "/run/user/$user" "$directory/data/home"
chown "$user:$user" "/run/user/$user" "$directory/data/home"
echo "owner:x:$user:$user::$directory/data/home:/bin/sh" >>/etc/passwd
echo "owner:x:$user:" >>/etc/group
echo "dockremap:x:4999:4999::/:/bin/sh" >>/etc/passwd
echo "dockremap:x:4999:" >>/etc/group
for file in /etc/subuid /etc/subgid; do
    printf 'owner:200000:65536\ndockremap:300000:65536\n' >$file
done
# A group of cpuset holds no process unless it has processors and memory.
for name in "$containers" "$daemons"; do
    for root in /sys/fs/cgroup/cpuset /sys/fs/cgroup/cpuset,cpu; do
        [ -e "$root/cgroup.clone_children" ] || continue
        mkdir "$root/$name"
        for file in cpuset.cpus cpuset.mems; do cat "$root/$file" >"$root/$name/$file"; done
        echo 1 >"$root/$name/cgroup.clone_children"
    done
done
echo ready
read -r _ || true
