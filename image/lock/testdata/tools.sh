#!/usr/bin/env bash
# Takes the stanzas of a lock's tools out of a Packages index, without the
# fields that nobody here reads: tools.sh LOCK <Packages >tools.control
set -euo pipefail
export LC_ALL=C
# shellcheck disable=SC1007 # RS is set to nothing: stanzas are awk's records
awk '
  FNR == NR {
    if ($1 == "tool") wanted[$2 " " $3] = 1
    next
  }
  {
    for (i = 1; i <= NF; i++) {
      if ($i ~ /^Package: /) name = substr($i, 10)
      if ($i ~ /^Version: /) version = substr($i, 10)
    }
    if (!((name " " version) in wanted)) next
    for (i = 1; i <= NF; i++)
      if ($i ~ /^(Package|Version|Architecture|Depends|Pre-Depends|Provides|SHA256): /) print $i
    print ""
  }' "$1" RS= FS='\n' -
