-- The highest serial that a component of a district and class (ten digits) has or ever had; 0 where none had one.
create function last_serial(of_scheme text, prefix text) returns bigint language sql stable as $$
  select coalesce(substr(greatest(
    (select max(c.code) from component c where c.scheme = of_scheme and c.code between prefix || '000000' and prefix || '999999'),
    (select max(f.code) from former_code f where f.entity = 'component' and f.scheme = of_scheme
       and f.code between prefix || '000000' and prefix || '999999')), 11), '0')::bigint
$$;
