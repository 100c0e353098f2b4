//! RESP2 and RESP3 over byte buffers: requests in, replies out, with limits.
