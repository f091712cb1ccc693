# Not a host: takes the rules of the fleet out of the kernel and puts its audit back to ENABLED.
auditctl -D -k fleetscan-fleet >/dev/null
auditctl -e "${ENABLED:?0 or 1}" >/dev/null
auditctl -l
exit 0
