# Every sin that a container can commit. Each line is there for a check to find, though not every one has its check yet.
login deploy
login root

# Accounts: a second root, an account without a password, a service account that may log in, a docker group with a member.
useradd --non-unique --uid 0 --gid 0 --no-create-home --shell /bin/bash toor
useradd --create-home --shell /bin/bash guest
passwd --delete --quiet guest
usermod --shell /bin/bash --password '$1$fleet$7mwN0Y7Ai9mBd5e8H2LQs/' games
groupadd docker
usermod --append --groups docker deploy
groupadd --gid 1500 shared
useradd --no-create-home --uid 1500 --gid 1500 alice
useradd --no-create-home --non-unique --uid 1500 --gid 1500 alison
sed -i -e 's/^PASS_MAX_DAYS.*/PASS_MAX_DAYS 99999/' -e 's/^UMASK.*/UMASK 000/' -e 's/^ENCRYPT_METHOD.*/ENCRYPT_METHOD MD5/' /etc/login.defs
printf '+\n' > /etc/hosts.equiv
printf '+ +\n' > /root/.rhosts

# sudo: anything, without a password, for ever.
cat > /etc/sudoers.d/deploy <<'RULES'
Defaults timestamp_timeout=-1, !authenticate
deploy ALL=(ALL:ALL) NOPASSWD: ALL
%docker ALL=(root) NOPASSWD: /usr/bin/docker
RULES
chmod 664 /etc/sudoers.d/deploy
chmod 440 /etc/sudoers.d/deploy

# SSH: everything on.
cat > /etc/ssh/sshd_config.d/00-weak.conf <<'CONFIG'
PermitRootLogin yes
PasswordAuthentication yes
PermitEmptyPasswords yes
X11Forwarding yes
AllowTcpForwarding yes
AllowAgentForwarding yes
PermitTunnel yes
GatewayPorts yes
PermitUserEnvironment yes
HostbasedAuthentication yes
IgnoreRhosts no
StrictModes no
MaxAuthTries 20
MaxSessions 100
LoginGraceTime 0
ClientAliveInterval 0
LogLevel QUIET
Ciphers +aes128-cbc,3des-cbc
MACs +hmac-md5,hmac-sha1
KexAlgorithms +diffie-hellman-group1-sha1,diffie-hellman-group14-sha1
CONFIG
chmod 666 /etc/ssh/sshd_config.d/00-weak.conf

# Files that anyone may read or write.
mkdir -p /etc/docker /srv/share /opt/app
printf '{"hosts": ["unix:///var/run/docker.sock", "tcp://0.0.0.0:2375"], "icc": true, "insecure-registries": ["registry.example:5000"]}\n' > /etc/docker/daemon.json
printf 'OPTIONS=-H tcp://0.0.0.0:2375\n' > /etc/default/docker
chmod 777 /etc/docker /srv/share
chmod 666 /etc/docker/daemon.json /etc/default/docker /etc/crontab
chmod 644 /etc/shadow /etc/gshadow
chmod 666 /etc/group
chmod 777 /etc/cron.d /etc/cron.daily
printf '* * * * * root /opt/app/job.sh\n' > /etc/cron.d/app
printf '#!/bin/sh\n:\n' > /opt/app/job.sh
chmod 777 /opt/app/job.sh
cp /bin/dash /opt/app/rootshell
chmod 4755 /opt/app/rootshell
chmod 755 /root
chmod 777 /home/guest
printf 'umask 000\n' > /etc/profile.d/umask.sh

# Networking of a router that believes everything it is told.
forwarding 1
redirects 1
ipv4 conf/eth0/accept_source_route 1
printf 'net.ipv4.ip_forward=1\nnet.ipv4.conf.all.accept_redirects=1\nnet.ipv4.conf.all.send_redirects=1\n' > /etc/sysctl.d/99-router.conf

# Clear-text services that really listen.
printf 'telnet stream tcp nowait root /usr/sbin/tcpd /usr/sbin/telnetd\nshell stream tcp nowait root /usr/sbin/tcpd /usr/sbin/in.rshd\n' >> /etc/inetd.conf
inetd || /usr/sbin/inetd
vsftpd_conf=/etc/vsftpd.conf
sed -i -e 's/^anonymous_enable=.*/anonymous_enable=YES/' -e 's/^listen=.*/listen=YES/' -e 's/^listen_ipv6=.*/listen_ipv6=NO/' "$vsftpd_conf"
mkdir -p /var/run/vsftpd/empty
/usr/sbin/vsftpd "$vsftpd_conf" >/dev/null 2>&1 &
