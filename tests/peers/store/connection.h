// One client's socket, read as Cyrus reads it: byte by byte or line by line, with a look back.
//
// Replies wait in the output buffer until the next read has to ask the socket, so pipelined
// commands are answered in one segment. Belongs to the client's thread; the destructor closes the
// socket. A peer that has disconnected or is silent for too long reads as the end of input;
// timed_out() tells which. Bytes that cannot be written are dropped, and input ends then too.
#pragma once

#include <array>
#include <chrono>
#include <string>
#include <string_view>

namespace store {

class Connection {
 public:
  static constexpr int kEnd = -1;

  Connection(int descriptor, std::chrono::seconds idle_timeout);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  int get();         // the next byte, or kEnd
  void step_back();  // undoes get(); twice in a row at most
  // Up to `limit` bytes, through the first LF if it is among them; empty at the end of input.
  std::string read_line(std::size_t limit);
  bool input_waiting();  // the client has sent more than was read
  bool timed_out() const { return timed_out_; }

  void write(std::string_view text) { output_.append(text); }
  void flush();

 private:
  bool fill();

  static constexpr std::size_t kLookBack = 2;
  int descriptor_;
  bool input_ended_ = false;
  bool output_broken_ = false;
  bool timed_out_ = false;
  std::array<char, 16384> input_;
  std::size_t next_ = kLookBack;
  std::size_t end_ = kLookBack;
  std::string output_;
};

}  // namespace store
