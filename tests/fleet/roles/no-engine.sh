# A minimal Debian, root login, nothing done to it.
login root
