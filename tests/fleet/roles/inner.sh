# Logins come from the bastion; what needs root needs a password. tests/fleet/main.rs knows it.
certified inner.fleet.test auditor
echo 'auditor:seven-trombones-7' | chpasswd
echo 'auditor ALL=(ALL:ALL) ALL' > /etc/sudoers.d/auditor
chmod 440 /etc/sudoers.d/auditor
echo "AllowUsers auditor@$FLEET_NET.31" > /etc/ssh/sshd_config.d/inner.conf
