// The verbs of scripts, written out as steps.
//
// What it is: one table from a verb's first word to the steps it stands for.
// What it does not know: files, connections, playing.
// Called by: the script parser.
// Threads and lifetimes: pure.
// Failure: ScriptError without a place; the parser puts it in front.
#pragma once

#include <string_view>

#include "tests/dialogues/script.h"

namespace dialogues {

// Whose verb it is.
enum class Side { kEither, kClient, kStore };

// `text` is what stands behind `PEER: `.
Steps steps_of_verb(Side side, std::string_view text);

}  // namespace dialogues
