-- By what a store knows the bytes of a chunk again: the ETag of a part in a bucket.
alter table upload_chunks add column tag text not null default '';
