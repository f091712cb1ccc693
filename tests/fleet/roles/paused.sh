# Is paused while it works out who logged in: before the first answer.
login root
slow id 40
