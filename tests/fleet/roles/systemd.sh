# A host that systemd runs: units, timers, a journal. rpcbind is enabled for a check to find.
login root

writable_control_groups

# Always the same, so that the path of the journal is.
printf '0123456789abcdef0123456789abcdef\n' > /etc/machine-id
# What has no place in a container, and what would write in the middle of a test.
systemctl mask --quiet apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer systemd-tmpfiles-clean.timer \
    systemd-udevd.service systemd-modules-load.service sys-kernel-config.mount sys-kernel-debug.mount getty@.service console-getty.service
systemctl enable --quiet ssh.service rpcbind.socket cron.service 2>/dev/null
serve() {
    ssh-keygen -q -A
    exec /sbin/init
}
