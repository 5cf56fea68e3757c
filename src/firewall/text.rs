//! A plan → the text of `table inet failover`.
