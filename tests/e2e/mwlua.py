"""Settings as Lua source: what a test has as a dict becomes a mailweir.lua."""
import json


class Raw(str):
    """Lua source as it stands: Raw("D_REJECT")."""


D_PASS, D_DISCARD, D_REJECT, D_TEMPFAIL, D_BOUNCE = map(Raw, ("D_PASS", "D_DISCARD", "D_REJECT", "D_TEMPFAIL", "D_BOUNCE"))


def lua(value):
    if isinstance(value, Raw):
        return str(value)
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return "{ " + ", ".join(map(lua, value)) + " }"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"[{lua(k)}] = {lua(v)}" for k, v in value.items()) + " }"
    # JSON's escapes are Lua's, but for \u
    return json.dumps(str(value), ensure_ascii=False).replace("\\u00", "\\x")


def lua_file(settings):
    """{"name": value, "table.field": value} as a settings file."""
    tables, lines = {}, []
    for name, value in settings.items():
        if value is None:
            continue
        table, dot, field = name.partition(".")
        if dot:
            tables.setdefault(table, {})[field] = value
        else:
            lines.append(f"{name} = {lua(value)}")
    for table, fields in tables.items():
        lines.append(f"{table} = {{")
        lines += [f"\t{field} = {lua(value)}," for field, value in fields.items()]
        lines.append("}")
    return "\n".join(lines) + "\n"
