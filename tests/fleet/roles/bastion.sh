# Nothing is done here but passing on.
certified bastion.fleet.test jump
usermod --shell /usr/sbin/nologin jump
