//! Tests of the gate as it runs: agents on loopback addresses of their own, hosts on an address of this machine.

mod gate;
mod world;
