//! uname: kernel and host names.

use super::{Collector, Error, Text};
use std::ffi::CStr;

pub(crate) struct Uname;

impl Collector for Uname {
    fn collect(&mut self, out: &mut Text) -> Result<(), Error> {
        let uname = rustix::system::uname();
        let [domainname, machine, nodename, release, sysname, version] = [
            uname.domainname(),
            uname.machine(),
            uname.nodename(),
            uname.release(),
            uname.sysname(),
            uname.version(),
        ]
        .map(CStr::to_string_lossy);
        let name = "node_uname_info";
        out.gauges(name, "Labeled system information as provided by the uname system call.");
        let labels = [
            ("domainname", &*domainname),
            ("machine", &*machine),
            ("nodename", &*nodename),
            ("release", &*release),
            ("sysname", &*sysname),
            ("version", &*version),
        ];
        out.sample(name, labels, 1.0);
        Ok(())
    }
}
