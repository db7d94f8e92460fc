//! The program from outside: what it answers to bad input, to hostile peers and to people in a hurry, and how it ends.

mod arguments;
mod baselines;
mod certificates;
mod connacks;
mod cuts;
mod doctor;
mod expectations;
mod explain;
mod explore;
mod exports;
mod files;
mod floods;
mod forbidden;
mod garbage;
mod help;
mod histories;
mod hostile;
mod interruptions;
mod leftovers;
mod lessons;
mod limits;
mod logins;
mod neighbours;
mod outputs;
mod peers;
mod program;
mod proxy;
mod relays;
mod repeats;
mod restarts;
mod rights;
mod runs;
mod slips;
mod slow_ways;
mod started;
mod statements;
mod terminal;
mod tls;
mod transports;
mod unreachable;
mod upgrades;
mod wildcards;
mod witnesses;

#[path = "../support/mod.rs"]
mod support;
