# What a container can show of a hardened host: everything that is a file, a package or a setting of its own network namespace.
login root

cat > /etc/ssh/sshd_config.d/00-hardening.conf <<CONFIG
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitEmptyPasswords no
HostbasedAuthentication no
IgnoreRhosts yes
PermitUserEnvironment no
X11Forwarding no
AllowTcpForwarding no
AllowAgentForwarding no
AllowStreamLocalForwarding no
PermitTunnel no
GatewayPorts no
MaxAuthTries 4
MaxSessions 4
MaxStartups 10:30:60
LoginGraceTime 30
ClientAliveInterval 300
ClientAliveCountMax 3
LogLevel VERBOSE
Banner /etc/issue.net
AllowUsers root@$FLEET_NET.0/24
Ciphers aes256-gcm@openssh.com,chacha20-poly1305@openssh.com,aes128-gcm@openssh.com
MACs hmac-sha2-512-etm@openssh.com,hmac-sha2-256-etm@openssh.com
KexAlgorithms sntrup761x25519-sha512@openssh.com,curve25519-sha256,curve25519-sha256@libssh.org
CONFIG
chmod 600 /etc/ssh/sshd_config /etc/ssh/sshd_config.d/00-hardening.conf
for file in /etc/issue /etc/issue.net /etc/motd; do printf 'Authorised use only.\n' > "$file"; done

# Sessions end by themselves.
printf 'readonly TMOUT=600\nexport TMOUT\n' > /etc/profile.d/tmout.sh
printf 'umask 027\n' > /etc/profile.d/umask.sh
cat > /etc/sudoers.d/hardening <<'RULES'
Defaults use_pty
Defaults logfile="/var/log/sudo.log"
Defaults timestamp_timeout=5
RULES
chmod 440 /etc/sudoers.d/hardening
chmod 750 /etc/sudoers.d

# The kernel's settings, now (these, and those of the compose file) and after a reboot.
forwarding 0
redirects 0
ipv4 conf/eth0/accept_source_route 0
ipv4 conf/eth0/log_martians 1
ipv4 conf/eth0/rp_filter 1
cat > /etc/sysctl.d/60-hardening.conf <<'SETTINGS'
net.ipv4.ip_forward = 0
net.ipv4.conf.all.send_redirects = 0
net.ipv4.conf.default.send_redirects = 0
net.ipv4.conf.all.accept_redirects = 0
net.ipv4.conf.default.accept_redirects = 0
net.ipv4.conf.all.secure_redirects = 0
net.ipv4.conf.default.secure_redirects = 0
net.ipv4.conf.all.accept_source_route = 0
net.ipv4.conf.default.accept_source_route = 0
net.ipv4.conf.all.log_martians = 1
net.ipv4.conf.default.log_martians = 1
net.ipv4.conf.all.rp_filter = 1
net.ipv4.conf.default.rp_filter = 1
net.ipv4.icmp_echo_ignore_broadcasts = 1
net.ipv4.icmp_ignore_bogus_error_responses = 1
net.ipv4.tcp_syncookies = 1
net.ipv6.conf.all.forwarding = 0
net.ipv6.conf.all.accept_redirects = 0
net.ipv6.conf.default.accept_redirects = 0
net.ipv6.conf.all.accept_source_route = 0
net.ipv6.conf.default.accept_source_route = 0
net.ipv6.conf.all.accept_ra = 0
net.ipv6.conf.default.accept_ra = 0
kernel.randomize_va_space = 2
kernel.kptr_restrict = 2
kernel.dmesg_restrict = 1
kernel.yama.ptrace_scope = 1
kernel.unprivileged_bpf_disabled = 1
kernel.core_uses_pid = 1
fs.suid_dumpable = 0
fs.protected_hardlinks = 1
fs.protected_symlinks = 1
fs.protected_fifos = 2
fs.protected_regular = 2
SETTINGS
printf '* hard core 0\n' > /etc/security/limits.d/60-core.conf
mkdir -p /etc/modprobe.d
for module in cramfs freevxfs hfs hfsplus jffs2 squashfs udf usb-storage dccp sctp rds tipc; do
    printf 'install %s /bin/false\nblacklist %s\n' "$module" "$module"
done > /etc/modprobe.d/60-hardening.conf

# Accounts and passwords.
sed -i -e 's/^PASS_MAX_DAYS.*/PASS_MAX_DAYS 365/' -e 's/^PASS_MIN_DAYS.*/PASS_MIN_DAYS 1/' -e 's/^PASS_WARN_AGE.*/PASS_WARN_AGE 7/' \
    -e 's/^UMASK.*/UMASK 027/' -e 's/^ENCRYPT_METHOD.*/ENCRYPT_METHOD YESCRYPT/' /etc/login.defs
sed -i -e 's/^#* *INACTIVE=.*/INACTIVE=30/' /etc/default/useradd
grep -q '^INACTIVE=30' /etc/default/useradd || printf 'INACTIVE=30\n' >> /etc/default/useradd
usermod --password '*' root
usermod --shell /usr/sbin/nologin sync
printf 'minlen = 14\nminclass = 4\ndcredit = -1\nucredit = -1\nlcredit = -1\nocredit = -1\nretry = 3\nenforce_for_root\n' > /etc/security/pwquality.conf
printf 'deny = 5\nunlock_time = 900\nfail_interval = 900\neven_deny_root\n' > /etc/security/faillock.conf
cat > /etc/pam.d/common-auth <<'PAM'
auth    required                        pam_faillock.so preauth
auth    [success=1 default=ignore]      pam_unix.so
auth    [default=die]                   pam_faillock.so authfail
auth    required                        pam_permit.so
PAM
cat > /etc/pam.d/common-password <<'PAM'
password    requisite                       pam_pwquality.so retry=3
password    required                        pam_pwhistory.so remember=24 use_authtok
password    [success=1 default=ignore]      pam_unix.so obscure use_authtok try_first_pass yescrypt
password    requisite                       pam_deny.so
password    required                        pam_permit.so
PAM
groupadd --force sugroup
printf 'auth required pam_wheel.so use_uid group=sugroup\n' >> /etc/pam.d/su

# File modes.
chmod 700 /root /etc/cron.d /etc/cron.hourly /etc/cron.daily /etc/cron.weekly /etc/cron.monthly
chmod 600 /etc/crontab
printf 'root\n' > /etc/cron.allow
printf 'root\n' > /etc/at.allow
chmod 640 /etc/cron.allow /etc/at.allow
rm -f /etc/cron.deny /etc/at.deny
chmod 644 /etc/passwd /etc/group /etc/passwd- /etc/group-
chmod 640 /etc/shadow /etc/gshadow /etc/shadow- /etc/gshadow-

# Audit: as configured on disk; no container may ask the kernel.
sed -i -e 's/^max_log_file =.*/max_log_file = 32/' -e 's/^num_logs =.*/num_logs = 10/' -e 's/^max_log_file_action =.*/max_log_file_action = ROTATE/' \
    -e 's/^space_left_action =.*/space_left_action = EMAIL/' -e 's/^admin_space_left_action =.*/admin_space_left_action = HALT/' \
    -e 's/^disk_full_action =.*/disk_full_action = HALT/' -e 's/^disk_error_action =.*/disk_error_action = HALT/' /etc/audit/auditd.conf
cat > /etc/audit/rules.d/30-hardening.rules <<'RULES'
-w /etc/passwd -p wa -k identity
-w /etc/group -p wa -k identity
-w /etc/shadow -p wa -k identity
-w /etc/gshadow -p wa -k identity
-w /etc/sudoers -p wa -k scope
-w /etc/sudoers.d -p wa -k scope
-w /etc/ssh/sshd_config -p wa -k sshd
-w /usr/bin/dockerd -p rwxa -k docker
-w /usr/bin/docker -p rwxa -k docker
-w /var/lib/docker -p rwxa -k docker
-w /etc/docker -p rwxa -k docker
RULES
printf -- '-e 2\n' > /etc/audit/rules.d/99-finalize.rules
chmod 640 /etc/audit/*.conf /etc/audit/rules.d/*
cat /etc/audit/rules.d/*.rules > /etc/audit/audit.rules
chmod 640 /etc/audit/audit.rules
chmod 750 /var/log/audit
sed -i -e 's/^active = .*/active = yes/' /etc/audit/plugins.d/syslog.conf

# Logs: kept, rotated, sent on; updates by themselves; the time from two sources.
printf '*.* action(type="omfwd" target="logs.example" port="6514" protocol="tcp" StreamDriver="gtls" StreamDriverMode="1")\n' > /etc/rsyslog.d/60-remote.conf
printf '$FileCreateMode 0640\n' > /etc/rsyslog.d/00-mode.conf
printf 'APT::Periodic::Update-Package-Lists "1";\nAPT::Periodic::Unattended-Upgrade "1";\n' > /etc/apt/apt.conf.d/20auto-upgrades
printf 'server time1.example iburst\nserver time2.example iburst\n' > /etc/chrony/sources.d/fleet.sources
printf '0 5 * * * root /usr/bin/aide --check --config /etc/aide/aide.conf\n' > /etc/cron.d/aide
chmod 600 /etc/cron.d/aide

# A firewall that lets in SSH from the network of the fleet and nothing else.
cat > /etc/nftables.conf <<RULES
#!/usr/sbin/nft -f
flush ruleset
table inet filter {
    chain input {
        type filter hook input priority 0; policy drop;
        iif "lo" accept
        ct state established,related accept
        ip saddr $FLEET_NET.0/24 tcp dport 22 accept
    }
    chain forward {
        type filter hook forward priority 0; policy drop;
    }
    chain output {
        type filter hook output priority 0; policy accept;
    }
}
RULES
nft -f /etc/nftables.conf
cron
