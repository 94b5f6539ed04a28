//! Log records: any bytes decode to a record or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tsdb::wal::records;

fuzz_target!(|data: &[u8]| {
    let _ = records::decode(data);
});
