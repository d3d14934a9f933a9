//! A private network for a run: a loopback interface of its own, on which every port is free.
