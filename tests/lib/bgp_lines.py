# SPDX-License-Identifier: GPL-2.0-only
"""Routes as BIRD, FRR and nsr-bgpd print them, as sorted lines that can be compared:
prefix next-hop path MED communities large-communities"""
import json
import re
import sys

def line(prefix, via, path, med, comm, large):
    join = lambda xs: ",".join(xs) or "-"
    return " ".join([prefix, via or "-", join(path), str(med), join(sorted(comm)), join(sorted(large))])

def nsr(table, neighbor):
    for r in json.load(sys.stdin)["routes"]:
        if r["table"] == table and r["neighbor"] == neighbor:
            yield line(r["prefix"], r["via"], r["path"].split(), r.get("med", "-"),
                       r.get("communities", []), r.get("large-communities", []))

def bird_blocks():
    block = None
    for text in sys.stdin:
        m = re.match(r"([0-9a-f.:]+/\d+)\s", text)
        if m:
            if block:
                yield block
            block = {"prefix": m.group(1)}
        m = re.match(r"\s+BGP\.(\w+):\s*(.*)", text)
        if m and block:
            block[m.group(1)] = m.group(2).strip()
    if block:
        yield block

def bird(own_as=None, via4=None, via6=None):
    """With own_as: what BIRD is about to export, so without what its session adds."""
    for b in bird_blocks():
        path = b.get("as_path", "").split()
        via = b.get("next_hop", "").split()
        v6 = ":" in b["prefix"]
        if own_as:
            path = [own_as] + path
            via = [via6 if v6 else via4]
        pairs = [c.replace(" ", "").replace(",", ":") for c in re.findall(r"\(([^)]*)\)", b.get("community", ""))]
        large = [c.replace(" ", "").replace(",", ":")
                 for c in re.findall(r"\(([^)]*)\)", b.get("large_community", ""))]
        yield line(b["prefix"], via[0] if via else "", path, b.get("med", "-"), pairs, large)

def frr(own_as=None):
    data = json.load(sys.stdin)
    routes = data.get("advertisedRoutes" if own_as else "routes", {})
    for prefix, r in routes.items():
        r = r[0] if isinstance(r, list) else r
        path = r.get("path", "").split()
        if own_as:
            path = [own_as] + path
        yield line(prefix, "", path, r.get("metric", "-"), [], [])

def counts():
    for name, n in sorted(json.load(sys.stdin).items()):
        yield "%s %s %s" % (name, n["connectionsEstablished"], n["connectionsDropped"])

kind, args = sys.argv[1], sys.argv[2:]
lines = {"nsr": lambda: nsr(*args), "bird": lambda: bird(), "bird-own": lambda: bird(*args),
         "frr": lambda: frr(), "frr-own": lambda: frr(*args), "frr-counts": counts}[kind]()
print("\n".join(sorted(lines)))
