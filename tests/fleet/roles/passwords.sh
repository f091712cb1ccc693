# Logins by password, with PAM as Debian has it: one that works, one whose password has expired, one that needs its key as well, one that is asked for a code.
for user in auditor expired; do
    useradd --create-home --shell /bin/bash "$user"
done
login both
login coded
for user in auditor expired both coded; do
    printf '%s:%s\n' "$user" "${FLEET_PASSWORD:?the password of the logins}" | chpasswd
done
chage --lastday 0 expired
cat > /etc/ssh/sshd_config.d/passwords.conf <<'END'
UsePAM yes
PasswordAuthentication yes
KbdInteractiveAuthentication yes
Match User both
    AuthenticationMethods publickey,keyboard-interactive
Match User coded
    AuthenticationMethods keyboard-interactive
END
# The code is asked for first, as most have it.
su -s /bin/sh coded -c 'google-authenticator --time-based --disallow-reuse --force --rate-limit=3 --rate-time=30 --window-size=3 --quiet --no-confirm'
sed -i '1i auth [success=1 default=ignore] pam_succeed_if.so quiet user != coded\nauth required pam_google_authenticator.so' /etc/pam.d/sshd
# Touched, so that it and the directories above it are in the container's own layer before the first login fails.
touch /var/log/btmp
# OpenRC as it is after start, but for its cache of dependencies.
login root
mkdir -p /run/openrc/started
echo default > /run/openrc/softlevel
ln -sf /etc/init.d/ssh /run/openrc/started/ssh
ln -sf /etc/init.d/ssh /etc/runlevels/default/ssh
