#!/usr/bin/env bash
# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The zoo: one interface of every kind that a Kubernetes node may have, beside the node's own.
#   zoo.sh build | clear | flap     (root; only names below are touched; flap runs until killed)
set -euo pipefail

KERNEL_MODULES=(8021q bonding bridge dummy veth vxlan geneve macvlan vrf tun ipip sit ip_gre openvswitch)
# Names that quoting, escaping or decoding could break; the last is no UTF-8.
ODD=("eth0~" "a'b" 'q"x' 'back\slash' "tic\\'k" "ünï" "fifteen-chars-x" $'raw\x80\xff')

build() {
  modprobe -a "${KERNEL_MODULES[@]}"
  ip netns add zoo-pod
  for n in 0 1 2 3 4; do ip link add "zd$n" type dummy; done
  ip link set zd0 address 02:00:00:00:0d:00 mtu 9000 up
  ip link property add dev zd0 altname zd0-alternative-name-longer-than-15 altname zd0-second
  ip address add 10.97.0.1/24 dev zd0
  ip address add 10.97.0.2/24 dev zd0 label zd0:vip
  ip address add 10.97.0.100/32 dev zd0 noprefixroute
  ip address add 169.254.97.1/16 dev zd0 scope link
  ip address add 2001:db8:97::1/64 dev zd0 nodad

  ip link add zbond type bond mode active-backup
  ip link set zd1 master zbond
  ip link set zbond up
  ip link add zbr type bridge
  ip link set zd2 master zbr
  ip link add zvrf type vrf table 1001
  ip link set zd3 master zvrf

  ip link add link zd0 name zd0.181 type vlan id 181
  ip link add link zd0.181 name zd0.181.7 type vlan id 7
  ip link add link zd0 name antrea-ext.182 type vlan id 182
  ip link add link zd0 name zmac type macvlan mode bridge
  ip address add 10.97.7.1/24 dev zd0.181.7

  ip link add zveth type veth peer name eth0 netns zoo-pod
  ip link add zva type veth peer name zvb
  ip link add cali0123456789a type veth peer name eth1 netns zoo-pod
  ip link add lxc0123456789 type veth peer name eth2 netns zoo-pod
  ip link add zptp type veth peer name eth3 netns zoo-pod
  ip address add 10.97.3.1/32 dev zptp
  # A VLAN whose parent stays behind in another namespace.
  ip -n zoo-pod link add zfar type dummy
  ip -n zoo-pod link add link zfar name zfar.9 type vlan id 9
  ip -n zoo-pod link set zfar.9 netns "$$"

  ip link add zvx4 type vxlan id 42 local 10.97.0.1 remote 10.97.0.9 dstport 4789 dev zd0
  ip link add zvx6 type vxlan id 43 local 2001:db8:97::1 group ff05::100 dstport 8472 dev zd0
  ip link add zvxe type vxlan external dstport 4790
  ip link add zgen4 type geneve id 77 remote 10.97.0.9
  ip link add zgen6 type geneve id 78 remote 2001:db8:97::9 dstport 6082
  ip link add zgene type geneve external dstport 6083
  ip tunnel add zipip mode ipip local 10.97.0.1 remote 10.97.0.9
  ip tunnel add zsit mode sit local 10.97.0.1 remote 10.97.0.9
  ip tunnel add zgre mode gre local 10.97.0.1 remote 10.97.0.9 key 5
  ip link add zgretap type gretap local 10.97.0.1 remote 10.97.0.9

  ip tuntap add dev ztun mode tun
  ip address add 10.97.5.1 peer 10.97.5.2/32 dev ztun
  ip tuntap add dev ztap mode tap

  ovs-vsctl --timeout=20 --db="$(ovs_socket)" add-br zovs-br \
    -- add-port zovs-br zovs -- set interface zovs type=internal
  ip address add 10.97.6.1/24 dev zovs

  ip link add kube-ipvs0 type dummy
  ip address add 10.96.0.10/32 dev kube-ipvs0
  ip address add 10.96.0.1/32 dev kube-ipvs0
  ip address add 2001:db8:96::1/128 dev kube-ipvs0 nodad

  ip link add z200 type dummy
  for n in $(seq 150); do echo "address add 10.98.$((n % 7)).$n/16 dev z200"; done | ip -batch -
  for n in $(seq 50); do printf 'address add 2001:db8:98::%x/64 dev z200 nodad\n' "$n"; done | ip -batch -

  ip link add zv6 type dummy
  echo 2 > /proc/sys/net/ipv6/conf/zv6/use_tempaddr
  ip link set zv6 up
  ip address add 2001:db8:77::5/64 dev zv6 nodad mngtmpaddr
  ip address add 2001:db8:77::6/64 dev zv6 nodad preferred_lft 0
  ip address add 10.97.8.1/24 dev zv6 preferred_lft 0

  for name in "${ODD[@]}"; do
    ip link add zodd type dummy
    ip link set zodd name "$name"
  done

  ip route add default via 10.97.0.254 dev zd0 metric 5000 src 10.97.0.2
  ip route add default metric 6000 nexthop via 10.97.0.253 dev zd0 nexthop via 10.97.0.252 dev zd0 weight 2
  ip -4 route add default via inet6 fe80::97 dev zd0 metric 7000
  ip route add unreachable default metric 8000
  ip -6 route add default via 2001:db8:97::fe dev zd0 metric 5000
  ip -6 route add default metric 6000 nexthop via 2001:db8:97::fd dev zd0 nexthop via 2001:db8:97::fc dev zd0
  ip route add default via 10.97.0.251 dev zd0 table 1002
  ip route add blackhole 203.0.113.1
  ip route add prohibit 203.0.113.2
  ip route add unreachable 203.0.113.3
  ip -6 route add unreachable 2001:db8:113::3
}

ovs_socket() {
  for socket in /var/run/antrea/openvswitch/db.sock /var/run/openvswitch/db.sock; do
    if [ -S "$socket" ]; then echo "unix:$socket" && return; fi
  done
  echo "zoo: no OVSDB socket on this node" >&2
  return 1
}

clear_zoo() {
  ip route del default metric 8000 || :
  for route in 203.0.113.1 203.0.113.2 203.0.113.3; do ip route del "$route" || :; done
  ip -6 route del 2001:db8:113::3 || :
  ip route flush table 1002 || :
  ovs-vsctl --timeout=20 --db="$(ovs_socket)" --if-exists del-br zovs-br || :
  for name in "${ODD[@]}" flap zodd zv6 z200 kube-ipvs0 ztap ztun zgretap zgre zsit zipip \
    zgene zgen6 zgen4 zvxe zvx6 zvx4 zfar.9 zptp lxc0123456789 cali0123456789a zva zveth \
    zmac antrea-ext.182 zd0.181.7 zd0.181 zvrf zbr zbond zd4 zd3 zd2 zd1 zd0; do
    ip link del dev "$name" || :
  done
  ip netns del zoo-pod || :
}

flap() {
  while :; do
    ip link add flap type dummy
    ip address add 10.97.96.1/24 dev flap
    ip link del flap
  done
}

case ${1:-} in
  build) build ;;
  clear) clear_zoo 2> /dev/null ;;
  flap) flap ;;
  *) echo "usage: zoo.sh build | clear | flap" >&2; exit 2 ;;
esac
