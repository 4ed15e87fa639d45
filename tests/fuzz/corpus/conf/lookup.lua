recipient_delimiter = "+-"
local_domains_maps = { label "x", { "!a@b", ".c" }, { ["u@v"] = undef, ["."] = 0 }, new_RE { "^a", { "(?i)b", "$1" } },
  read_hash "/nonexistent", opaque { a = { 1 } }, function(k) return k == "x" end, dnsl("z", { "127.0.0.4/30" }, { failure = "defer" }) }
inet_acl = { "10/8", read_cidr("/x"), "!::/0" }
policy_bank.B = { local_domains_maps = { function() return 1 end }, inet_acl = opaque(true) }
