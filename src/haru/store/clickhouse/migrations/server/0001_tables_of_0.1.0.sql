-- The tables of 0.1.0 on one server. `{database}` stands for its name.
-- A part is on the disk, not in the page cache, before an insert is answered: the spool lets go of it then.

CREATE TABLE IF NOT EXISTS `{database}`.`version` (
    number UInt32,
    title String,
    at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = MergeTree()
ORDER BY number
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS `{database}`.`event` (
    `id` Int64,
    `site_id` Int64,
    `occurred_at` DateTime64(3, 'UTC'),
    `visitor_id` Int64,
    `visit_id` Int64,
    `name` LowCardinality(String),
    `hostname` LowCardinality(String),
    `path` String,
    `source` LowCardinality(String),
    `channel` LowCardinality(String),
    `referrer` String,
    `utm_source` LowCardinality(String),
    `utm_medium` LowCardinality(String),
    `utm_campaign` LowCardinality(String),
    `utm_content` String,
    `utm_term` String,
    `click_id` LowCardinality(String),
    `country` LowCardinality(String),
    `region` LowCardinality(String),
    `city` Int64,
    `device` LowCardinality(String),
    `browser` LowCardinality(String),
    `browser_version` LowCardinality(String),
    `os` LowCardinality(String),
    `os_version` LowCardinality(String),
    `screen` LowCardinality(String),
    `language` LowCardinality(String),
    `props` String,
    `revenue_currency` LowCardinality(String),
    `revenue_amount` String,
    `engaged_ms` Int64,
    `scroll_depth` Int16,
    `interactive` Bool,
    `batch` UInt64,
    INDEX id_range id TYPE minmax GRANULARITY 4,
    INDEX visit_id_range visit_id TYPE minmax GRANULARITY 4,
    INDEX batch_range batch TYPE minmax GRANULARITY 4
)
ENGINE = MergeTree()
PARTITION BY toYYYYMM(occurred_at)
ORDER BY (site_id, toDate32(occurred_at), visitor_id, visit_id, id)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS `{database}`.`refusal` (
    `site_id` Int64,
    `hour` DateTime64(3, 'UTC'),
    `reason` LowCardinality(String),
    `detail` LowCardinality(String),
    `count` Int64,
    `batch` UInt64,
    INDEX batch_range batch TYPE minmax GRANULARITY 4
)
ENGINE = MergeTree()
PARTITION BY toYYYYMM(hour)
ORDER BY (site_id, hour, reason, detail)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

-- Of each epoch the row of its last batch stays.
CREATE TABLE IF NOT EXISTS `{database}`.`progress` (
    `epoch` UInt64,
    `batch` UInt64,
    `after` UInt64,
    `last_id` Int64,
    `positions` Map(String, Int64)
)
ENGINE = ReplacingMergeTree(batch)
ORDER BY epoch
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS `{database}`.`lease` (
    `epoch` UInt64,
    `nonce` String,
    `holder` String,
    `name` String,
    `released` Bool,
    at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(at)
ORDER BY (epoch, nonce)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;
