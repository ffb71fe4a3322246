// One line through a LineFolder, as the tests of folding feed it.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include "mailer/lines/line_folder.h"

namespace lmtpq::mailer {

enum class Part { kHeader, kBody };

// What comes out of it, fed in pieces of this length.
inline std::string folded_line(LineFolder& folder, std::string_view line, Part part,
                               std::size_t piece) {
  std::string out;
  if (part == Part::kBody) {
    folder.end_line(out);
    out.clear();
  }
  for (; !line.empty(); line.remove_prefix(std::min(piece, line.size()))) {
    folder.append(line.substr(0, piece), out);
  }
  folder.end_line(out);
  return out;
}

}  // namespace lmtpq::mailer
