# Reads apt's sources in both forms and prints, for each Debian mirror of this release, one deb822 source of another
# suite of that mirror, as records that end in NUL. Variables: names = what this release is called in sources, separated
# by spaces; types and suite = the source wanted. mawk and gawk.
# SPDX-License-Identifier: MIT

BEGIN { n = split(names, list, " "); for (i = 1; i <= n; i++) known[list[i]] = 1 }

# uris: separated by spaces; rest: further fields as deb822 lines, each ending in a newline.
function offer(uris, rest,    count, uri, i) {
  count = split(uris, uri, /[ \t\n]+/)
  for (i = 1; i <= count; i++) {
    if (uri[i] == "" || uri[i] ~ /^cdrom:/ || (uri[i] in offered)) continue
    offered[uri[i]] = 1
    printf "Types: " types "\nURIs: %s\nSuites: %s\nComponents: main\n%s%c", uri[i], suite, rest, 0
  }
}

function names_this_release(suites,    count, word, i) {
  count = split(suites, word, /[ \t\n]+/)
  for (i = 1; i <= count; i++) if (word[i] in known) return 1
  return 0
}

function has_word(text, wanted,    count, word, i) {
  count = split(text, word, /[ \t\n]+/)
  for (i = 1; i <= count; i++) if (word[i] == wanted) return 1
  return 0
}

function end_of_stanza(    key, rest, i) {
  if (has_word(value["types"], "deb") && names_this_release(value["suites"]) && has_word(value["components"], "main") &&
      tolower(value["enabled"]) !~ /^ *(no|false|0|off)/) {
    for (i = 1; i <= fields; i++) {
      key = order[i]
      if (key !~ /^(types|uris|suites|components|enabled|architectures|languages|targets|x-.*)$/)
        rest = rest key ":" value[key] "\n"
    }
    offer(value["uris"], rest)
  }
  split("", value); split("", order); fields = 0; key_now = ""
}

FNR == 1 { if (NR > 1) end_of_stanza(); deb822 = (FILENAME ~ /\.sources$/) }

deb822 && /^#/ { next }
deb822 && /^[ \t]*$/ { end_of_stanza(); next }
deb822 && /^[ \t]/ { if (key_now != "") value[key_now] = value[key_now] "\n" $0; next }
deb822 {
  colon = index($0, ":")
  key_now = tolower(substr($0, 1, colon - 1))
  order[++fields] = key_now
  value[key_now] = substr($0, colon + 1)
  next
}

# deb [option=value option=value] uri suite component...
/^[ \t]*deb[ \t]/ {
  line = $0
  sub(/#.*/, "", line)
  sub(/^[ \t]*deb[ \t]+/, "", line)
  rest = ""
  if (line ~ /^\[/) {
    options = substr(line, 2, index(line, "]") - 2)
    line = substr(line, index(line, "]") + 1)
    count = split(options, option, /[ \t]+/)
    for (i = 1; i <= count; i++) {
      equals = index(option[i], "=")
      name = substr(option[i], 1, equals - 1)
      if (equals > 1 && name !~ /^(arch|lang|target)[-+]?$/) {
        setting = substr(option[i], equals + 1)
        gsub(/,/, " ", setting)
        rest = rest name ": " setting "\n"
      }
    }
  }
  sub(/^[ \t]+/, "", line)
  count = split(line, word, /[ \t]+/)
  for (i = 3; i <= count; i++) if ((word[2] in known) && word[i] == "main") offer(word[1], rest)
}

END { end_of_stanza() }
