//! Real parts that several test binaries use. Each binary uses some of it.
#![allow(dead_code, reason = "every test binary compiles all of it and uses its share")]

pub mod agent;
pub mod box_faults;
pub mod camera;
pub mod clip;
pub mod fault_proxy;
pub mod frames;
pub mod gate;
pub mod hls_client;
pub mod legal;
pub mod m3u8;
pub mod minio;
pub mod nginx;
pub mod s3s_server;
pub mod scratch;
pub mod script;
pub mod scripted_http;
pub mod seams;
pub mod supabase_server;
pub mod throttle;
pub mod viewer;
pub mod wait;
pub mod web_server;
