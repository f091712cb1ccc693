"""What ansible-core itself makes of inventories, for tests/inventory/ansible.rs.

Standard input: a JSON list of questions, each with `directory` (where Ansible runs), `sources` (the arguments of `-i`), `limits` (patterns for
`--limit`), and `connections` (whether to say how every host is reached). Standard output: a JSON list of answers, each with `limits`, the hosts that
`ansible all --list-hosts --limit PATTERN` names or null where it ends in an error, and `connections`, by host, the options that Ansible's own plugins for
ssh and sudo take from the variables of the host.

One process for all questions, since starting Ansible takes longer than answering; a fork for each, since Ansible remembers what it read.
"""
import json
import os
import sys

from ansible import constants
from ansible.cli import CLI
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.play_context import PlayContext
from ansible.plugins import loader as plugins
from ansible.template import Templar
from ansible.utils.path import unfrackpath
from ansible.vars.manager import VariableManager


def plain(value):
    """A value as text, as it ends up in a command line."""
    return None if value is None else str(value)


def options(kind, plugin, variables, templar):
    """What a plugin takes from the variables, as TaskExecutor gives them to it."""
    names = constants.config.get_plugin_vars(kind, plugin._load_name)
    plugin.set_options(var_options={name: templar.template(variables[name]) for name in names if name in variables})
    return plugin


def connection(loader, variables):
    templar = Templar(loader=loader, variables=variables)
    ssh = options("connection", plugins.connection_loader.get("ssh", PlayContext(), os.devnull), variables, templar)
    sudo = options("become", plugins.become_loader.get("sudo"), variables, templar)
    arguments = []
    for name in ("ssh_args", "ssh_common_args", "ssh_extra_args"):
        # The default of ssh_args is Ansible's own, and says nothing about the inventory.
        if "ansible_" + name in variables:
            arguments += ssh._split_ssh_args(ssh.get_option(name))
    return {
        # What ssh would be called with, where the option is empty or not set.
        "address": plain(ssh.get_option("host") or variables["inventory_hostname"]),
        "port": plain(ssh.get_option("port")),
        "user": plain(ssh.get_option("remote_user") or None),
        "password": plain(ssh.get_option("password")),
        "private_key": plain(ssh.get_option("private_key_file")),
        "host_key_checking": bool(ssh.get_option("host_key_checking")),
        "timeout": int(ssh.get_option("timeout")),
        "ssh_args": [plain(argument.decode() if isinstance(argument, bytes) else argument) for argument in arguments],
        "become_password": plain(sudo.get_option("become_pass")),
    }


def answer(question):
    os.chdir(question["directory"])
    loader = DataLoader()
    sources = [source if "," in source else unfrackpath(source, follow=False) for source in question["sources"]]
    inventory = InventoryManager(loader=loader, sources=sources)
    limits = {}
    for pattern in question["limits"]:
        inventory.clear_pattern_cache()
        try:
            limits[pattern] = [str(host) for host in CLI.get_host_list(inventory, pattern)]
        except Exception:  # Ansible ends in all kinds of them
            limits[pattern] = None
        inventory.subset(None)
    connections = {}
    if question["connections"]:
        manager = VariableManager(loader=loader, inventory=inventory)
        for host in inventory.get_hosts():
            connections[host.name] = connection(loader, manager.get_vars(host=host, include_hostvars=False))
    return {"limits": limits, "connections": connections}


def answer_in_fork(question):
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(receive)
        with os.fdopen(send, "w") as out:
            json.dump(answer(question), out)
        os._exit(0)
    os.close(send)
    with os.fdopen(receive) as incoming:
        text = incoming.read()
    _, status = os.waitpid(child, 0)
    if status != 0 or not text:
        sys.exit("no answer about %s" % question["directory"])
    return json.loads(text)


if hasattr(plugins, "init_plugin_loader"):
    plugins.init_plugin_loader()
json.dump([answer_in_fork(question) for question in json.load(sys.stdin)], sys.stdout)
