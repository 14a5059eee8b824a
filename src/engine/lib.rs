//! The only crate that touches the host and the Docker engine: reads inputs, answers needs, writes files, carries out steps.

pub mod apply;
pub mod backup;
mod command;
pub mod container;
mod context;
pub mod docker;
pub mod down;
pub mod eject;
pub mod envfile;
pub mod files;
pub mod gather;
pub mod health;
mod hook;
mod ignore;
pub mod image;
pub mod interrupt;
pub mod live;
pub mod lock;
pub mod logs;
mod manual;
pub mod observe;
pub mod pack;
pub mod project;
pub mod state;
pub mod unit;
pub mod vault;
pub mod verify;
