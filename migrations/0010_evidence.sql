-- Documents as files: kept by their SHA-256 in a directory, each before the row that names it.

alter table evidence add hash bytea;
alter table evidence add bytes bigint;
alter table evidence add media text;
alter table evidence add name text;
alter table evidence add lon double precision;
alter table evidence add lat double precision;
alter table evidence add handed_in_by text;
alter table evidence add constraint evidence_hash_sha256 check (octet_length(hash) = 32);
alter table evidence add constraint evidence_file_whole
  check ((hash is null) = (bytes is null) and (hash is null) = (media is null) and (hash is null) = (name is null));
alter table evidence add constraint evidence_photo_placed check ((lon is null) = (lat is null));
alter table evidence add constraint evidence_photo_on_earth check (lon between -180 and 180 and lat between -90 and 90);
comment on column evidence.hash is 'SHA-256 of the file; null where the document is only described.';
comment on column evidence.lon is 'Where a photo says that it was taken, in degrees, as its camera wrote it down.';
create index motion_evidence_gin on motion using gin (evidence);
create index evidence_number_idx on evidence (number);
