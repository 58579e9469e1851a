//! scratch
use votum_journal::*;
use std::time::Instant;
fn main(){
 let d=std::env::args().nth(1).unwrap(); let d=std::path::Path::new(&d);
 let n:u64=std::env::args().nth(2).unwrap().parse().unwrap();
 let t=Instant::now();
 let mut o=OnDisk::open(d,Options::new([1;16]),|_|()).unwrap();
 println!("create {:?}",t.elapsed());
 let t=Instant::now();
 let mut last=Lsn(0);
 for i in 0..n { for k in 0..4 { last=o.journal.append(Entry{stream:Stream::new(format!("job/j{i}")).unwrap(),urgency:Urgency::Lazy,version:1,bearing:if k==3&&i%1000!=0{Bearing::Closes}else{Bearing::Continues},keys:if k==0{vec![KeyChange::Put{key:format!("job/j{i}").into(),value:vec![1;200]}]}else{vec![]},payload:vec![7;500]}); } }
 o.reader.wait_for(last);
 println!("write {} records {:?} {:?}",n*4,t.elapsed(),o.reader.counters());
 let t=Instant::now(); drop(o); println!("close {:?}",t.elapsed());
 let t=Instant::now(); let o=OnDisk::open(d,Options::new([1;16]),|_|()).unwrap(); println!("clean open {:?} {:?} open {}",t.elapsed(),o.index,o.open_streams.len());
 let t=Instant::now(); let r=o.reader.read(&Stream::new("job/j77").unwrap()).unwrap(); println!("read {} in {:?}",r.len(),t.elapsed());
 drop(o); std::fs::remove_dir_all(d.join("index")).unwrap();
 let t=Instant::now(); let o=OnDisk::open(d,Options::new([1;16]),|_|()).unwrap(); println!("rebuild {:?} {:?}",t.elapsed(),o.index); drop(o);
}
