/interface ipip
add name=lyon local-address=198.51.100.1 remote-address=203.0.113.7 !keepalive comment="to \
    Lyon"
add name=oslo remote-address=203.0.113.8 mtuu=1400
/ip address
add address=192.168.50.1/30 interface=lyon
