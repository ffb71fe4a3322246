// The sockets that clients come to.
//
// What it is: opening unix:PATH and inet:HOST:PORT, and naming who connected.
// What it does not know: what is spoken over them.
// Called by: main.
// Threads and lifetimes: main's thread only, but peer_name, which any may call; the sockets are
//   open until exit.
// Failure: throws std::runtime_error (a bad address, or one in use), with one line for the user.
#pragma once

#include <string>

namespace store {

struct Listener {
  int descriptor;
  std::string address;    // as the client dials it: a port of 0 has become the real one
  std::string unix_path;  // empty for TCP; to be removed at the end
};

// A socket file that nobody listens on is replaced; like Cyrus's it lets in everybody who can
// reach its folder.
Listener open_listener(const std::string& address);

// "unix:uid=0,pid=12" or "inet:127.0.0.1:40000".
std::string peer_name(int descriptor);

}  // namespace store
