#!/bin/sh
# Makes this container the host that ROLE names (roles/ROLE.sh), then serves SSH: once the port answers, the host is ready.
# FLEET_KEY is the public key that may log in, FLEET_NET the first three numbers of the fleet's network, FLEET_CA the private key of an authority that signs
# certificates (base64), for the hosts that have them.
set -eu
umask 022
role=${1:-${ROLE:?which host this is}}

# login USER: an unprivileged account with a locked password that FLEET_KEY may log in to; root needs no account.
login() {
    home=/root
    if [ "$1" != root ]; then
        home=/home/$1
        id "$1" >/dev/null 2>&1 || useradd --create-home --shell /bin/bash --password '*' "$1"
    fi
    mkdir -p "$home/.ssh"
    printf '%s\n' "${FLEET_KEY:?the public key that may log in}" > "$home/.ssh/authorized_keys"
    chmod 700 "$home/.ssh"
    chmod 600 "$home/.ssh/authorized_keys"
    [ "$1" = root ] || chown -R "$1:$1" "$home/.ssh"
}

# certified NAME USER: certificates of FLEET_CA alone say that this host is NAME, and who may log in as USER.
certified() {
    ssh-keygen -q -A
    (umask 077 && printf '%s' "${FLEET_CA:?the authority that signs certificates}" | base64 -d > /run/ca)
    ssh-keygen -y -f /run/ca > /etc/ssh/user_ca.pub
    ssh-keygen -q -s /run/ca -I "$1" -h -n "$1" -V -1d:+1d /etc/ssh/ssh_host_ed25519_key.pub
    rm /run/ca
    printf 'TrustedUserCAKeys /etc/ssh/user_ca.pub\nHostCertificate /etc/ssh/ssh_host_ed25519_key-cert.pub\nAuthorizedKeysFile none\n' \
        > /etc/ssh/sshd_config.d/certified.conf
    id "$2" >/dev/null 2>&1 || useradd --create-home --shell /bin/bash --password '*' "$2"
}

# slow PROGRAM SECONDS: a program that is found first and takes its time, so that a test can catch a session in the middle.
slow() {
    printf '#!/bin/sh\nsleep %s\nexec %s "$@"\n' "$2" "$(command -v "$1")" > "/usr/local/sbin/$1"
    chmod 755 "/usr/local/sbin/$1"
}

# forwarding VALUE, redirects VALUE: whether the host passes packets on, and what it does with ICMP redirects. Not by the compose file: it would write them in
# any order, and ip_forward turns others over when it changes; and the interface is there before the compose file's settings are.
forwarding() {
    ipv4 ip_forward "$1"
}

redirects() {
    for scope in all default eth0; do
        for setting in accept_redirects secure_redirects send_redirects; do ipv4 "conf/$scope/$setting" "$1"; done
    done
}

ipv4() {
    mount -o remount,bind,rw /proc/sys
    echo "$2" > "/proc/sys/net/ipv4/$1"
    mount -o remount,bind,ro /proc/sys
}

# For what runs other processes in control groups of its own: those are mounted read-only in a container that isn't privileged.
writable_control_groups() {
    grep -E ' cgroup2? ' /proc/mounts | while read -r _ point _; do mount -o remount,bind,rw "$point" || :; done
}

serve() {
    mkdir -p -m 755 /run/sshd
    ssh-keygen -q -A
    exec /usr/sbin/sshd -D -e
}

. "/roles/$role.sh"
serve
