// The verbs of scripts, expanded into steps: one table from a verb's first word to its steps.
//
// ScriptError has no place; the parser adds it.
#pragma once

#include <string_view>

#include "tests/dialogues/script.h"

namespace dialogues {

// Which peer the verb is for.
enum class Side { kEither, kClient, kStore };

// `text` is the text after `PEER: `.
Steps steps_of_verb(Side side, std::string_view text);

}  // namespace dialogues
