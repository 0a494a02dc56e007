// A number beside an axis: short, and of the kind that its metric is.
export function axisValue(value, format) {
  if (format === "percent") return `${value}%`;
  if (format === "duration") return value < 60 ? `${Math.round(value)}s` : `${Math.floor(value / 60)}m${value % 60 ? ` ${Math.round(value % 60)}s` : ""}`;
  if (format === "decimal") return value.toFixed(1);
  if (value >= 1e6) return `${(value / 1e6).toFixed(1)}M`;
  return value >= 1000 ? `${(value / 1000).toFixed(1)}k` : String(value);
}
