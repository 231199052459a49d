#!/bin/sh
# ip tunnel add old mode ipip remote 203.0.113.40
ip link del tun40 2>/dev/null || true
ip link add dev tun40 type ipip remote 203.0.113.40 tos EF && \
    ip link set up dev tun40
ip link set tun40 alias "to Oslo"
ip -n blue tunnel add tun41 mode ipip remote 203.0.113.41
