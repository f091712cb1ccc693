# Rules in the running kernel, and an auditd that writes them down. The kernel is the machine's: it has one set of rules for all its containers, so
# every rule here bears the key fleetscan-fleet, by which `audit-clean` finds and removes exactly these again.
login root
[ -e /etc/docker/daemon.json ] || printf '{"log-driver": "local"}\n' > /etc/docker/daemon.json
sed -i -e 's/^max_log_file =.*/max_log_file = 8/' -e 's/^num_logs =.*/num_logs = 5/' -e 's/^max_log_file_action =.*/max_log_file_action = ROTATE/' /etc/audit/auditd.conf
chmod 750 /var/log/audit

# Both forms of a rule, and directories beside files. Missing on purpose: the shims of containerd.
cat > /etc/audit/rules.d/50-docker.rules <<'RULES'
-w /usr/sbin/dockerd -p rwxa -k fleetscan-fleet
-w /usr/bin/docker -p rwxa -k fleetscan-fleet
-a always,exit -F dir=/var/lib/docker -F perm=rwxa -F key=fleetscan-fleet
-w /etc/docker -p rwxa -k fleetscan-fleet
-w /lib/systemd/system/docker.service -p rwxa -k fleetscan-fleet
-w /etc/init.d/docker -p rwxa -k fleetscan-fleet
-a always,exit -F arch=b64 -F path=/lib/systemd/system/docker.socket -F perm=rwxa -F key=fleetscan-fleet
-w /etc/default/docker -p rwxa -k fleetscan-fleet
-w /usr/bin/containerd -p rwxa -k fleetscan-fleet
RULES
chmod 640 /etc/audit/rules.d/50-docker.rules
mkdir -p /var/lib/docker
chmod 710 /var/lib/docker
auditctl -R /etc/audit/rules.d/50-docker.rules >/dev/null
# In the kernel and in no file; in a file and not in the kernel.
auditctl -w /usr/sbin/runc -p rwxa -k fleetscan-fleet
printf -- '-w /etc/containerd -p rwxa -k fleetscan-fleet\n' >> /etc/audit/rules.d/50-docker.rules
cp /etc/audit/rules.d/50-docker.rules /etc/audit/audit.rules
auditctl -e 1 >/dev/null
# A machine with an auditd of its own keeps it; the kernel takes one only. `-s nochange`: it leaves the kernel's switch alone when it ends.
if auditctl -s | grep -qx 'pid 0'; then auditd -s nochange; fi
